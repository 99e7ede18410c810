"""`liverec bundle`: a key is made, a bundle signed, and what it proves is said."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from app.proven import open_proven
from app.settings import Settings
from engine.errors import BundleError, ConfigError
from liverec.command_line import main


def liverec(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> int:
    monkeypatch.setattr(sys, "argv", ["liverec", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_from_the_key_to_the_service(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle, key = tmp_path / "bundle", tmp_path / "key"
    shutil.copytree(tiny_bundle, bundle)
    assert liverec(monkeypatch, "bundle", "keygen", key) == 0
    public_key = capsys.readouterr().out.strip()
    assert key.stat().st_mode & 0o777 == 0o600
    assert liverec(monkeypatch, "bundle", "verify", bundle, "--public-key", public_key) == 2
    assert "manifest.sig is missing" in " ".join(capsys.readouterr().err.split())
    monkeypatch.setenv("LIVEREC_BUNDLE", str(bundle))
    monkeypatch.setenv("LIVEREC_BUNDLE_PUBLIC_KEYS", json.dumps(["0" * 64, public_key]))
    settings = Settings.read()
    assert json.loads(settings.environment()["LIVEREC_BUNDLE_PUBLIC_KEYS"]) == ["0" * 64, public_key]
    with pytest.raises(BundleError, match=r"manifest\.sig is missing"):
        open_proven(settings)
    assert liverec(monkeypatch, "bundle", "sign", "--key", key, bundle) == 0
    opened, _ = open_proven(settings)
    capsys.readouterr()
    assert liverec(monkeypatch, "bundle", "verify", bundle, "--public-key", public_key) == 0
    said = capsys.readouterr().out
    assert opened.model_version in said
    assert f"{public_key}, as asked" in said


def test_what_is_wrong_is_named(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, words in (
        (["verify", tiny_bundle, "--public-key", "XY"], "--public-key 'XY'"),
        (["verify", tmp_path], "liverec train"),
        (["sign", "--key", tmp_path / "no key", tiny_bundle], "cannot be read"),
    ):
        assert liverec(monkeypatch, "bundle", *arguments) == 2
        assert words in " ".join(capsys.readouterr().err.split())


def test_a_key_that_cannot_sign_is_found_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "key").write_text("secret")
    (tmp_path / "key").chmod(0o600)
    assert liverec(monkeypatch, "train", "--sign", tmp_path / "key", "--out", tmp_path / "bundle") == 2
    assert "is no key" in capsys.readouterr().err


@pytest.mark.parametrize("value", ["ab", "[1]", '["AB"]', json.dumps(["0" * 64] * 17)])
def test_impossible_public_keys(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("LIVEREC_BUNDLE_PUBLIC_KEYS", value)
    with pytest.raises(ConfigError, match="LIVEREC_BUNDLE_PUBLIC_KEYS"):
        Settings.read()
