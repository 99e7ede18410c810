"""A process of its own tries a bundle, and its end is an error that names the bundle."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from chaos.bundle_crafting import sealed

from engine import bundle_proof
from engine.bundle import Bundle
from engine.bundle_folder import BundleFolder
from engine.bundle_key import BundleKey
from engine.bundle_layout import METADATA, METADATA_OFFSETS, SIGNATURE, UNFINISHED_SIGNATURE
from engine.bundle_proof import prove_apart
from engine.errors import BundleError
from engine.packed_texts import PackedTexts


@pytest.fixture
def copy(topic_bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(topic_bundle, tmp_path / "copy"))


def test_a_bundle_is_proven(copy: Path) -> None:
    assert prove_apart(copy) == Bundle.open(copy).model_version


def test_what_is_refused_there_is_refused_here(copy: Path) -> None:
    (copy / METADATA).write_bytes(b"{}")
    with pytest.raises(BundleError, match=r"metadata\.jsonl is damaged"):
        prove_apart(copy)
    with pytest.raises(BundleError, match="gone cannot be read"):
        prove_apart(copy.with_name("gone"))


def test_a_process_that_takes_too_much_memory_ends(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle_proof, "LEAST_MEMORY", 1 << 20)
    monkeypatch.setattr(bundle_proof, "MEMORY_FACTOR", 0)
    with pytest.raises(BundleError, match="copy"):
        prove_apart(copy)


def test_a_process_that_takes_too_long_ends(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle_proof, "LEAST_SECONDS", 0.01)
    with pytest.raises(BundleError, match="copy was not proven within"):
        prove_apart(copy)


def test_the_death_of_the_process_is_named(copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dying = tmp_path / "dying"
    dying.write_text("#!/bin/sh\nkill -FPE $$\n")
    dying.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(dying))
    with pytest.raises(BundleError, match=r"copy must not be opened.*SIGFPE"):
        prove_apart(copy)


def test_metadata_is_bounded(copy: Path) -> None:
    lines = [line + b" " * 600_000 for line in (copy / METADATA).read_bytes().splitlines()]
    PackedTexts.write(lines, copy / METADATA, copy / METADATA_OFFSETS)
    for name in (METADATA, METADATA_OFFSETS):
        sealed(copy, name, (copy / name).read_bytes())
    with pytest.raises(BundleError, match=r"metadata\.jsonl.*600\d\d\d bytes is longer than"):
        Bundle.open(copy)


def test_a_killed_signer_leaves_a_bundle_that_opens(copy: Path) -> None:
    outside = copy.with_name("outside")
    outside.write_bytes(b"mine")
    (copy / UNFINISHED_SIGNATURE).symlink_to(outside)
    Bundle.open(copy)
    key = BundleKey.generate()
    BundleFolder.sign(copy, key)
    Bundle.open(copy, [key.public_key])
    assert outside.read_bytes() == b"mine"
    assert not (copy / UNFINISHED_SIGNATURE).exists()
    assert not (copy / SIGNATURE).is_symlink()
