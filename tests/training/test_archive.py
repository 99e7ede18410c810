"""Archives: unpacked once, within bounds, never outside their folder, all or nothing."""

import stat
import zipfile

import pytest
from data_files import zip_of

from engine.errors import DataError
from training.archive import unpack


@pytest.mark.parametrize("name", ["../e.csv", "/e.csv", "a/../../e.csv", "a\\..\\e.csv", "c:e.csv"])
def test_no_archive_leaves_its_folder(tmp_path, name):
    with pytest.raises(DataError, match="would leave the folder"):
        unpack(zip_of(tmp_path, {name: "x"}), tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_no_archive_brings_a_link(tmp_path):
    link = zipfile.ZipInfo("e.csv")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(DataError, match="would leave the folder"):
        unpack(zip_of(tmp_path, {link: "/etc/passwd"}), tmp_path / "cache")


def test_an_archive_is_bounded_and_whole(tmp_path):
    archive = zip_of(tmp_path, {"e.csv": "user,item\n1,2\n"})
    with pytest.raises(DataError, match="at most 10000 files of 9 bytes"):
        unpack(archive, tmp_path / "cache", max_bytes=9)
    damaged = bytearray(archive.read_bytes())
    damaged[40] ^= 1
    archive.write_bytes(damaged)
    with pytest.raises(DataError, match="cannot be unpacked"):
        unpack(archive, tmp_path / "cache")
    archive.write_bytes(b"no zip")
    with pytest.raises(DataError, match="cannot be unpacked"):
        unpack(archive, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_an_archive_is_unpacked_once(tmp_path):
    archive = zip_of(tmp_path, {"e.csv": "user,item\n1,2\n"})
    first = unpack(archive, tmp_path / "cache")
    marked = first / "mark"
    marked.touch()
    assert unpack(archive, tmp_path / "cache") == first
    assert marked.exists()
