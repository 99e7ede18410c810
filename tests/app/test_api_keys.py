"""The file of keys: what it may say, and that nothing of it is ever repeated."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from key_ring import KeyRing

from app.api_keys import MOST_FILE_BYTES, ApiKeys, KeyFile
from app.metrics import Metrics
from engine.errors import ConfigError

SECRET = "canary-9f3a"
GOOD = f'[[keys]]\nname = "shop"\nid = "{"a" * 16}"\nsha256 = "{"0" * 64}"\nscopes = ["read"]\n'


@pytest.fixture
def ring(tmp_path: Path) -> KeyRing:
    return KeyRing(tmp_path / "keys.toml")


def keys_of(ring: KeyRing, *tenants: str) -> ApiKeys:
    return ApiKeys(ring.path, tenants, Metrics())


def test_a_key_is_found_by_its_whole_text_alone(ring: KeyRing) -> None:
    key, other = ring.add("read", "write", name="shop", tenant="acme", rate="5/minute"), ring.add("admin")
    keys = keys_of(ring, "acme")
    found = keys.find(key.encode())
    assert (found.name, found.tenant, found.scopes, found.limit.amount) == ("shop", "acme", {"read", "write"}, 5)
    assert found.limit.get_expiry() == 60
    assert keys.find(other.encode()).scopes == {"admin"}
    prefix, key_id, secret = key.split("_")
    flipped = secret[:-1] + ("0" if secret[-1] != "0" else "1")
    for wrong in (f"{prefix}_{key_id}_{flipped}", f"{prefix}_{other.split('_')[1]}_{secret}", key[8:], key + "\n", ""):
        assert keys.find(wrong.encode()) is None
    assert secret not in ring.path.read_text()


def test_an_expired_key_is_none(ring: KeyRing) -> None:
    now = time.time()
    over, soon = (time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now + left)) for left in (-5, 3_600))
    ended, good = ring.add("read", expires=over), ring.add("read", expires=soon)
    assert [keys_of(ring).find(each.encode()) is None for each in (ended, good)] == [True, False]


@pytest.mark.parametrize(
    "text",
    [
        "keys = 5",
        f'other = "{SECRET}"\n' + GOOD,
        GOOD + GOOD,
        GOOD.replace('"shop"', f'"{SECRET}!"'),
        GOOD.replace("0" * 64, SECRET),
        GOOD.replace('["read"]', f'["{SECRET}"]'),
        GOOD.replace('["read"]', "[]"),
        GOOD + f'secret = "{SECRET}"',
        GOOD + f'"{SECRET}" = 1',
        GOOD + f'rate = "{SECRET}/second"',
        GOOD + 'rate = "0/second"',
        GOOD + 'rate = "9999999/second"',
        GOOD + "expires = 2027-01-01",
        GOOD + "expires = 2027-01-01T00:00:00",
        f'[[keys]\nname = "{SECRET}"',
        "[" * 100_000,
        "".join(GOOD.replace("a" * 16, f"{number:016d}") for number in range(1_001)),
        "# " + "x" * MOST_FILE_BYTES,
    ],
    ids=range(18),
)
def test_a_file_that_cannot_be_used(ring: KeyRing, text: str) -> None:
    ring.path.write_text(text)
    with pytest.raises(ConfigError, match=r"LIVEREC_KEYS: .*keys.toml") as caught:
        keys_of(ring)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_file_that_cannot_be_read(ring: KeyRing, content: bytes | None) -> None:
    if content is not None:
        ring.path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"cannot be read|is no UTF-8"):
        KeyFile(ring.path).keys(()) if content else keys_of(ring)


def test_a_changed_file_is_taken_over_and_a_broken_one_is_not(ring: KeyRing, caplog: pytest.LogCaptureFixture) -> None:
    first = ring.add("read")
    metrics = Metrics()
    keys = ApiKeys(ring.path, (), metrics)
    second = ring.add("read")
    assert keys.find(second.encode()) is None
    keys.refresh()
    assert keys.find(second.encode()) is not None
    ring.path.write_text(f'[[keys]]\nname = "{SECRET}"')
    for _ in range(3):
        keys.refresh()
    assert keys.find(first.encode()) is not None
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert SECRET not in caplog.text
    assert b"liverec_key_file_failures_total 1.0" in metrics.render()
    ring.path.unlink()
    for _ in range(3):
        keys.refresh()
    assert keys.find(first.encode()) is not None
    assert len(caplog.records) == 2
    ring.revoke(first)
    keys.refresh()
    assert (keys.find(first.encode()), keys.find(second.encode()) is None) == (None, False)


def test_a_key_of_an_unknown_tenant_does_not_hold_up_the_others(
    ring: KeyRing, caplog: pytest.LogCaptureFixture
) -> None:
    leaked, metrics = ring.add("read"), Metrics()
    keys = ApiKeys(ring.path, ("acme",), metrics)
    known, stray = ring.add("read", tenant="acme"), ring.add("read", tenant="newco", name="new")
    ring.revoke(leaked)
    keys.refresh()
    assert [keys.find(each.encode()) is not None for each in (leaked, known, stray)] == [False, True, False]
    assert "1 keys are of tenants that LIVEREC_TENANTS does not name, as new is" in caplog.text
    assert b"liverec_stray_keys 1.0" in metrics.render()
    ring.revoke(stray)
    keys.refresh()
    assert b"liverec_stray_keys 0.0" in metrics.render()
    ring.add("read", tenant="newco", name="lost")
    with pytest.raises(ConfigError, match=r"has a key \(lost\) of a tenant"):
        KeyFile(ring.path).keys(("acme",))


@pytest.mark.parametrize(
    "broken", ['\n[[keys]]\nscopes = ["all"]', f"{GOOD}\n{GOOD}", f'{GOOD}"{SECRET}" = 1', "[other]"], ids=range(4)
)
def test_a_broken_file_takes_keys_away_and_gives_none(ring: KeyRing, broken: str) -> None:
    leaked, good, ending = (ring.add("read") for _ in range(3))
    keys = keys_of(ring)
    ring.tables[ending.split("_")[1]] += "expires = 2020-01-01T00:00:00Z\n"
    new = ring.add("read")
    ring.revoke(leaked)
    ring.path.write_text(f"{ring.path.read_text()}\n{broken}\n")
    keys.refresh()
    assert [keys.find(each.encode()) is not None for each in (leaked, good, ending, new)] == [False, True, False, False]


def test_a_file_in_which_nothing_is_right_takes_nothing_away(ring: KeyRing) -> None:
    key = ring.add("read")
    keys = keys_of(ring)
    for text in ("", '[[keys]]\nname = "x"', f'[[keys]]\nid = "{"a" * 16}"\n'):
        ring.path.write_text(f"other = 1\n{text}")
        keys.refresh()
        assert keys.find(key.encode()) is not None


def test_a_key_whose_own_entry_is_broken_stays(ring: KeyRing) -> None:
    key = ring.add("read")
    keys = keys_of(ring)
    ring.path.write_text(ring.path.read_text().replace('["read"]', '["reed"]'))
    keys.refresh()
    assert keys.find(key.encode()) is not None


def test_what_could_not_be_read_is_read_again(ring: KeyRing, caplog: pytest.LogCaptureFixture, monkeypatch) -> None:
    first = ring.add("read")
    metrics = Metrics()
    keys = ApiKeys(ring.path, (), metrics)
    ring.revoke(first)
    second = ring.add("read")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", _forbidden)
        for _ in range(3):
            keys.refresh()
    assert keys.find(first.encode()) is not None
    [record] = caplog.records
    assert f"for the user {os.geteuid()}" in record.message
    assert b"liverec_key_file_failures_total 1.0" in metrics.render()
    keys.refresh()
    assert [keys.find(each.encode()) is not None for each in (first, second)] == [False, True]


def _forbidden(*_arguments: object) -> None:
    raise PermissionError(13, "Permission denied")


def test_another_mode_or_owner_is_a_change(ring: KeyRing) -> None:
    ring.add("read")
    before = KeyFile(ring.path).stamp()
    time.sleep(0.02)
    ring.path.chmod(0o600)
    ring.path.chmod(0o644)
    assert KeyFile(ring.path).stamp() != before
