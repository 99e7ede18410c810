"""Settings out of files, as containers are given secrets."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from app.settings import Settings
from app.store_connection import StoreConnection
from engine.errors import ConfigError, StoreError

URL = "redis://service:abc@redis:6379/0"


@pytest.fixture
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.setenv("LIVEREC_SECRETS", str(tmp_path))
    (tmp_path / "REDIS_URL").write_text(f"{URL}\n", encoding="utf-8")
    return tmp_path


def url(settings: Settings) -> str | None:
    return settings.redis_url and settings.redis_url.get_secret_value()


def test_a_file_is_the_value_of_a_variable_that_is_not_set(secrets: Path) -> None:
    (secrets / "LIVEREC_WORKERS").write_text("3", encoding="utf-8")
    settings = Settings.read()
    assert (url(settings), settings.workers) == (URL, 3)


def test_a_variable_wins_over_a_file(secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://other")
    assert url(Settings.read()) == "redis://other"


def test_a_worker_reads_the_same(secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    variables = Settings.read().environment()
    (secrets / "REDIS_URL").unlink()
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert url(Settings.read()) == URL


def test_a_misspelt_file_is_named(secrets: Path) -> None:
    (secrets / "LIVEREC_WORKRES").write_text("3", encoding="utf-8")
    with pytest.raises(ConfigError, match="unknown setting LIVEREC_WORKRES"):
        Settings.read()


def test_other_files_do_not_matter(secrets: Path) -> None:
    (secrets / "..data").mkdir()
    assert url(Settings.read()) == URL


def test_a_missing_folder_is_named(secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVEREC_SECRETS", str(secrets / "nowhere"))
    with pytest.raises(ConfigError, match=r"LIVEREC_SECRETS: .*nowhere is no folder"):
        Settings.read()


@pytest.mark.parametrize("in_file", [False, True])
def test_no_file_of_keys_is_no_setting(secrets: Path, monkeypatch: pytest.MonkeyPatch, in_file: bool) -> None:
    """It would open everything, without a word."""
    if in_file:
        (secrets / "LIVEREC_KEYS").write_text("\n", encoding="utf-8")
    else:
        monkeypatch.setenv("LIVEREC_KEYS", "")
    with pytest.raises(ConfigError, match=r"LIVEREC_KEYS is empty; .* unset it"):
        Settings.read()


@pytest.mark.parametrize("password", ["se@cret", "se/cret", "se?cr@et", "se#cret", "1/2@3"])
def test_a_password_that_is_not_encoded_is_not_repeated(
    secrets: Path, monkeypatch: pytest.MonkeyPatch, password: str
) -> None:
    monkeypatch.setenv("REDIS_URL", f"redis://:{password}@host:6379/0")
    with pytest.raises(ConfigError, match=r"REDIS_URL: .*percent-encode") as caught:
        Settings.read()
    assert not any(part in str(caught.value) for part in ("cret", "host", "1/2"))


@pytest.mark.parametrize("good", [URL, "redis://:a%40b%2F@host", "unix://u:p@/run/a@b.sock?db=1", "rediss://h:1/0"])
def test_urls_that_are_encoded_pass(secrets: Path, monkeypatch: pytest.MonkeyPatch, good: str) -> None:
    monkeypatch.setenv("REDIS_URL", good)
    assert url(Settings.read()) == good


def test_where_the_store_was_sought_is_not_repeated() -> None:
    async def connect() -> None:
        await StoreConnection.connect("redis://:x@cret.invalid:6379", Settings())

    with pytest.raises(StoreError, match="check that it runs and REDIS_URL") as caught:
        asyncio.run(connect())
    assert "cret" not in str(caught.value)
