"""Keys: where each thing lies in Redis."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

PARTITIONS_KEY = "liverec:partitions"
SEPARATOR = ":"


@dataclass(frozen=True, slots=True)
class Namespace:
    """What of a store belongs to one tenant: the keys that begin with its name; without a tenant, those without one."""

    tenant: str = ""

    def key(self, name: str) -> str:
        """Return a key as the store has it; the hash tag stays, so what lay in one slot lies in one slot."""
        return f"{self.tenant}{SEPARATOR}{name}" if self.tenant else name


NO_TENANT = Namespace()


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
    def of(cls, user_id: str, partitions: int, namespace: Namespace = NO_TENANT) -> Keys:
        """Return the user's keys; the partition is a stable hash (CRC-32) of the id."""
        tag = namespace.key(f"{{p{zlib.crc32(user_id.encode()) % partitions}}}")
        # The length keeps user "a:b" with event "c" apart from user "a" with event "b:c".
        events = f"{tag}:e:{len(user_id)}:{user_id}:"
        history, items, opinions = f"{tag}:h:{user_id}", f"{tag}:i:{user_id}", f"{tag}:o:{user_id}"
        version, cache = f"{tag}:v:{user_id}", f"{tag}:c:{user_id}"
        return cls(f"{tag}:log", f"{tag}:forgotten", history, items, opinions, version, cache, events)

    def event(self, event_id: str) -> str:
        """Return the key of the marker that remembers one of the user's event_ids."""
        return self._events + event_id
