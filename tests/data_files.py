"""Small data files, and what reading them gives."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import polars as pl

from training.dataset import open_dataset

HEAD = "userId,movieId,rating,timestamp\n"


def write(folder: Path, **files: str | bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        data = content.encode() if isinstance(content, str) else content
        (folder / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return folder


def opened(source, tmp_path, **options):
    return open_dataset(source, cache=tmp_path / "cache", **options)


def events(source, tmp_path, part="all", **options) -> pl.DataFrame:
    return opened(source, tmp_path, **options).parts[part].collect()


def one_file(tmp_path, content, name="e.csv", **options) -> pl.DataFrame:
    return events(write(tmp_path / "one", **{name: content}) / name, tmp_path, **options)


def zip_of(tmp_path: Path, members: dict[str, str | bytes]) -> Path:
    path = tmp_path / "data.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path
