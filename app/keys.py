"""Keys: where each thing lies in Redis."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

PARTITIONS_KEY = "liverec:partitions"


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one user; all share the partition's hash tag, so that one script may touch them on a cluster."""

    log: str
    forgotten: str
    """Of the partition, as the log is."""
    history: str
    items: str
    opinions: str
    version: str
    cache: str
    _events: str

    @classmethod
    def of(cls, user_id: str, partitions: int) -> Keys:
        """Return the user's keys; the partition is a stable hash (CRC-32) of the id."""
        tag = f"{{p{zlib.crc32(user_id.encode()) % partitions}}}"
        # The length keeps user "a:b" with event "c" apart from user "a" with event "b:c".
        events = f"{tag}:e:{len(user_id)}:{user_id}:"
        history, items, opinions, version, cache = (f"{tag}:{letter}:{user_id}" for letter in "hiovc")
        return cls(f"{tag}:log", f"{tag}:forgotten", history, items, opinions, version, cache, events)

    def event(self, event_id: str) -> str:
        """Return the key of the marker that remembers one of the user's event_ids."""
        return self._events + event_id
