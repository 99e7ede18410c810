"""What a parent process has checked is not read again, unless anything has changed since."""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from chaos.bundle_crafting import sealed

from engine import file_stamp
from engine.bundle import Bundle
from engine.bundle_folder import BundleFolder
from engine.bundle_layout import COLUMNS, IDS, METADATA, RANKER
from engine.errors import BundleError
from engine.voucher import Voucher


@pytest.fixture
def copy(tiny_bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_bundle, tmp_path / "copy"))


@pytest.fixture
def voucher(copy: Path, monkeypatch: pytest.MonkeyPatch) -> Voucher:
    # The files are some milliseconds old.
    monkeypatch.setattr(file_stamp, "UNSETTLED_NS", -(10**12))
    voucher = Bundle.open(copy).voucher
    assert voucher is not None
    return pickle.loads(pickle.dumps(voucher))


def test_what_is_vouched_for_answers_as_ever(copy: Path, voucher: Voucher) -> None:
    assert BundleFolder.open(copy).checked(voucher).is_vouched
    assert not BundleFolder.open(copy).checked().is_vouched
    opened = Bundle.open(copy, voucher=voucher)
    opened.probe.check(opened.recommender())
    assert opened.voucher == voucher


def test_files_that_have_just_changed_are_not_vouched_for(copy: Path) -> None:
    assert Bundle.open(copy).voucher is None


def written(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1] + b"x")


def replaced(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(path.read_bytes()[:-1] + b"x")
    other.replace(path)


@pytest.mark.parametrize("change", [written, replaced])
@pytest.mark.parametrize("name", [IDS, METADATA, COLUMNS, RANKER])
def test_a_file_that_changes_is_read_again(
    copy: Path, voucher: Voucher, name: str, change: Callable[[Path], None]
) -> None:
    path = copy / name
    before = path.stat()
    change(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    with pytest.raises(BundleError, match=f"{name} is damaged"):
        Bundle.open(copy, voucher=voucher)


def test_a_voucher_is_for_one_manifest(copy: Path, voucher: Voucher) -> None:
    content = (copy / METADATA).read_bytes().replace(b"1995", b"1996")
    sealed(copy, METADATA, content)
    assert not BundleFolder.open(copy).checked(voucher).is_vouched
    stamps = BundleFolder.open(copy).checked().stamps
    assert not BundleFolder.open(copy).checked(Voucher(voucher.seal, stamps)).is_vouched


def test_a_file_that_changes_while_the_bundle_is_opened_is_named(copy: Path) -> None:
    files = BundleFolder.open(copy).checked()
    files.read(RANKER)
    replaced(copy / RANKER)
    with pytest.raises(BundleError, match=rf"{RANKER} has changed"):
        files.read(RANKER)
    written(copy / COLUMNS)
    with pytest.raises(BundleError, match=rf"{COLUMNS} has changed"):
        files.array(COLUMNS, None, None)
