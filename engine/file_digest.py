"""FileDigest: the SHA-256 by which a file is known again."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

Task = TypeVar("Task")
Found = TypeVar("Found")


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def at_once(work: Callable[[Task], Found], tasks: Iterable[Task], threads: int | None = None) -> list[Found]:
    """Return what work gives for each task, done by so many threads, one for each core if None is said.

    Digests of different files are computed side by side: no thread holds the interpreter while it reads or computes.
    """
    with ThreadPoolExecutor(threads or len(os.sched_getaffinity(0))) as pool:
        return list(pool.map(work, tasks))
