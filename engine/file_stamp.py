"""FileStamp: by what a file is known, unread, to be as it was when it was read."""

from __future__ import annotations

import os
from io import BufferedReader
from typing import NamedTuple

UNSETTLED_NS = 2_000_000_000
"""Two changes within a tick of the file system's clock leave the same times; ticks are far shorter than this."""


class FileStamp(NamedTuple):
    """Which file it is, its size in bytes, and when its content and anything of it was last changed, in ns.

    No program but the system sets the last of these, `changed`.
    """

    device: int
    inode: int
    size: int
    modified: int
    changed: int

    @classmethod
    def of(cls, file: BufferedReader) -> FileStamp:
        """Return the stamp of an open file."""
        found = os.fstat(file.fileno())
        return cls(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)

    def is_settled(self, now: int) -> bool:
        """Return whether any later change will show, if there was none up to `now`, ns since 1970."""
        return self.changed < now - UNSETTLED_NS
