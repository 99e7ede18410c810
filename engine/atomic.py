"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.errors import ConfigError


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file under a temporary name, flush it to disk, rename it into place."""
    with atomic_file(path) as temporary:
        temporary.write_bytes(content)


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Give a temporary name beside `path` to write to; on success it is flushed and takes the place of `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # The ending stays, because writers choose the format by it.
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield temporary
        flush(temporary)
        temporary.replace(path)
        flush(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path, mode: int = 0o755) -> Iterator[Path]:
    """Give a temporary folder beside `path`; on success it is flushed and renamed to `path`, which must not exist."""
    check_target(path)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        yield temporary
        for each in temporary.rglob("*"):
            flush(each)
        flush(temporary)
        temporary.chmod(mode)
        temporary.rename(path)
        flush(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def check_target(path: Path) -> None:
    """Raise ConfigError, before long work, unless a new folder can be made under this name."""
    if path.exists() or path.is_symlink():
        raise ConfigError(f"{path} exists; choose another name, or delete it first")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise ConfigError(f"{path} cannot be written ({error.strerror}); choose another name") from error


def flush(path: Path) -> None:
    """Bring a file, or the names in a folder, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
