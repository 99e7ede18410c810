"""ArchiveSnapshot: an archive as it was at one moment, for those who read it."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Self

import polars as pl

from archive.archive_files import ArchiveFiles
from archive.archive_lock import reader_lock
from archive.manifest import ArchiveManifest


class ArchiveSnapshot:
    """A context manager; until it ends, no file of this moment is deleted. Raises DataError if it is no archive."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = ArchiveFiles(folder)
        # In this order: what the manifest names is there as long as the lock is held.
        self._lock = reader_lock(folder)
        self.manifest = ArchiveManifest.read(folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let the archiver delete files again."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def scan(self) -> pl.LazyFrame:
        """Return all rows, lazily."""
        return self.files.scan(self.manifest.files)
