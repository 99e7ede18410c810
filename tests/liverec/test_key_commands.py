"""liverec keys: what it prints, what it writes, and what it refuses."""

from __future__ import annotations

import stat
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.api_keys import ApiKeys, KeyFile
from app.metrics import Metrics
from engine.errors import ConfigError
from liverec.key_commands import keys_cli

RUNNER = CliRunner()
GOOD = f'{{name = "other", id = "{"a" * 16}", sha256 = "{"0" * 64}", scopes = ["read"]}}'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "new folder" / "keys.toml"


def called(file: Path, *arguments: str) -> str:
    result = RUNNER.invoke(keys_cli, [*arguments, "--file", str(file)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def told(file: Path, *arguments: str) -> str:
    """Return what it says to people."""
    result = RUNNER.invoke(keys_cli, [*arguments, "--file", str(file)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return " ".join(result.stderr.split())


def is_good(file: Path, key: str) -> bool:
    return ApiKeys(file, ("acme",), Metrics()).find(key.strip().encode()) is not None


def test_a_key_is_printed_once_and_works(file: Path) -> None:
    key = called(file, "add", "shop", "--scope", "read", "--scope", "write", "--tenant", "acme", "--rate", "9/minute")
    assert is_good(file, key)
    assert key.strip().split("_")[2] not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    [entry] = KeyFile(file).entries()
    assert (entry.name, [*entry.scopes], entry.tenant, entry.rate) == ("shop", ["read", "write"], "acme", "9/minute")
    assert entry.expires is None
    assert entry.id in called(file, "list")
    assert list(file.parent.iterdir()) == [file]


def test_comments_and_modes_of_the_file_stay(file: Path) -> None:
    called(file, "add", "shop", "--scope", "read")
    file.write_text(f"# whose keys these are\n{file.read_text()}")
    file.chmod(0o640)
    called(file, "add", "monitor", "--scope", "metrics", "--days", "2")
    assert file.read_text().startswith("# whose keys these are")
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert [entry.name for entry in KeyFile(file).entries()] == ["shop", "monitor"]


def test_a_rotated_key_has_its_time(file: Path) -> None:
    old = called(file, "add", "shop", "--scope", "read", "--rate", "5/second")
    key_id = old.split("_")[1]
    new = called(file, "rotate", key_id, "--grace-days", "1")
    assert (is_good(file, old), is_good(file, new)) == (True, True)
    before, after = KeyFile(file).entries()
    assert before.model_dump(exclude={"id", "sha256", "expires"}) == after.model_dump(
        exclude={"id", "sha256", "expires"}
    )
    newest = called(file, "rotate", new.split("_")[1], "--grace-days", "0")
    assert [is_good(file, each) for each in (old, new, newest)] == [True, False, True]


def test_a_revoked_key_is_gone(file: Path) -> None:
    keys = [called(file, "add", name, "--scope", "read") for name in ("a", "b", "c")]
    called(file, "revoke", keys[1].split("_")[1])
    assert [is_good(file, each) for each in keys] == [True, False, True]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["add", "shop", "--scope", "read"], "there is a key named shop"),
        (["add", "a b", "--scope", "read"], "NAME is 'a b'"),
        (["add", "x", "--scope", "read", "--rate", "5"], "--rate is '5'"),
        (["add", "x", "--scope", "read", "--tenant", "A"], "--tenant is 'A'"),
        (["revoke", "nobody"], "no key with the id 'nobody'"),
        (["rotate", "nobody"], "no key with the id 'nobody'"),
    ],
)
def test_what_is_refused_changes_nothing(file: Path, arguments: list[str], words: str) -> None:
    called(file, "add", "shop", "--scope", "read")
    before = file.read_text()
    with pytest.raises(ConfigError, match=words):
        called(file, *arguments)
    assert file.read_text() == before
    assert list(file.parent.iterdir()) == [file]


def test_a_broken_file_is_left_as_it_is(file: Path) -> None:
    file.parent.mkdir()
    file.write_text("[[keys")
    with pytest.raises(ConfigError, match="is no TOML"):
        called(file, "add", "shop", "--scope", "read")
    assert file.read_text() == "[[keys"


def test_the_last_key_can_be_revoked_and_another_be_made(file: Path) -> None:
    called(file, "revoke", called(file, "add", "a", "--scope", "read").split("_")[1])
    assert KeyFile(file).entries() == []
    assert is_good(file, called(file, "add", "a", "--scope", "read"))


@pytest.mark.parametrize("text", ["keys = []", "# mine\n", "", f"keys = [{GOOD}]"])
def test_other_ways_to_write_the_file(file: Path, text: str) -> None:
    file.parent.mkdir()
    file.write_text(text)
    assert is_good(file, called(file, "add", "shop", "--scope", "read"))
    assert [entry.name for entry in KeyFile(file).entries()] == (["other", "shop"] if GOOD in text else ["shop"])


def test_the_end_of_a_rotated_key(file: Path) -> None:
    old = called(file, "add", "shop", "--scope", "read", "--days", "10").split("_")[1]
    new = told(file, "rotate", old)
    first, second = KeyFile(file).entries()
    assert second.expires - first.expires == timedelta(days=3)
    assert f"ends: {second.expires:%Y-%m-%d %H:%M} UTC" in new
    told(file, "rotate", second.id, "--days", "90", "--grace-days", "1")
    [*_, third] = KeyFile(file).entries()
    assert third.expires - second.expires == timedelta(days=80)


def test_what_cannot_be_rotated(file: Path) -> None:
    over = called(file, "add", "over", "--scope", "read", "--days", "0").split("_")[1]
    once = called(file, "add", "once", "--scope", "read").split("_")[1]
    new = called(file, "rotate", once).split("_")[1]
    before = file.read_text()
    with pytest.raises(ConfigError, match=f"{over} ended on .* keys add"):
        called(file, "rotate", over)
    with pytest.raises(ConfigError, match=f"{once} was rotated already .*; rotate {new}"):
        called(file, "rotate", once)
    assert file.read_text() == before
    called(file, "revoke", new)
    called(file, "rotate", once)


def test_a_tenant_that_is_not_set_is_told(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def add(name: str) -> str:
        return told(file, "add", name, "--scope", "read", "--tenant", "acme")

    assert "LIVEREC_TENANTS" not in add("a")
    monkeypatch.setenv("LIVEREC_TENANTS", '{"acme": "b"}')
    assert "LIVEREC_TENANTS" not in add("b")
    monkeypatch.setenv("LIVEREC_TENANTS", '{"other": "b"}')
    assert "LIVEREC_TENANTS here does not name acme" in add("c")
    key_id = KeyFile(file).entries()[0].id
    assert "LIVEREC_TENANTS here does not name acme" in told(file, "revoke", key_id)
