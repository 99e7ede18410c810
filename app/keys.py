"""Keys: where each thing lies in Redis."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

PARTITIONS_KEY = "liverec:partitions"


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one user; all share the partition's hash tag, so that one script may touch them on a cluster."""

    log: str
    history: str
    version: str
    cache: str
    _tag: str

    @classmethod
    def of(cls, user_id: str, partitions: int) -> Keys:
        """Return the user's keys; the partition is a stable hash (CRC-32) of the id."""
        tag = f"{{p{zlib.crc32(user_id.encode()) % partitions}}}"
        return cls(f"{tag}:log", f"{tag}:h:{user_id}", f"{tag}:v:{user_id}", f"{tag}:c:{user_id}", tag)

    def event(self, event_id: str) -> str:
        """Return the key of the marker that remembers an event_id."""
        return f"{self._tag}:e:{event_id}"
