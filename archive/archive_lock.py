"""Locks of an archive: one archiver at a time, and no file is deleted while somebody reads."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO

from engine.errors import ConfigError

WRITER, READERS = "lock", "readers"


def writer_lock(folder: Path) -> IO[str]:
    """Return a file that keeps other archivers out as long as it is open; raises ConfigError if one is at work."""
    file = (folder / WRITER).open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise ConfigError(f"{folder}: another archiver writes to this archive; stop that one first") from None
    return file


def reader_lock(folder: Path) -> int | None:
    """Return a descriptor that, as long as it is open, keeps the archiver from deleting files; None for a copy of an
    archive to which no archiver has written.
    """
    try:
        descriptor = os.open(folder / READERS, os.O_RDONLY)
    except FileNotFoundError:
        return None
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


def has_readers(folder: Path) -> bool:
    """Tell whether somebody reads the archive; who begins to read after this reads the manifest after this."""
    with (folder / READERS).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
