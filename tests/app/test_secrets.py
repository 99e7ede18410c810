"""Settings out of files, as containers are given secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.settings import Settings
from engine.errors import ConfigError

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
