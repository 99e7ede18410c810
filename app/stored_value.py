"""StoredValue: one value of the store, as a backup has it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, NamedTuple, Self

Kind = Literal["string", "hash", "zset", "stream"]
PARTITION_KEY = re.compile(r"\{p\d+\}:([a-z]+)(?::(.*))?", re.DOTALL)
VERSION, MARKER, FORGOTTEN, LOG = "v", "e", "forgotten", "log"


class StoredValue(NamedTuple):
    """A text, a field of a hash, a member of a sorted set, or an entry of a stream; `key` as without a tenant."""

    key: str
    kind: Kind
    field: bytes
    """Of a hash the field, of a sorted set the member, of a stream the id."""
    value: bytes
    """Of a stream a JSON list of names and values in turn."""
    score: float
    expires_at: int
    """Unix milliseconds; 0 for never."""


@dataclass(frozen=True, slots=True)
class PartitionKey:
    """What the key of a partition says: which thing it is, and of whom."""

    thing: str
    user_id: str
    """Empty for what all users of the partition share."""

    @classmethod
    def of(cls, key: str) -> Self | None:
        """Read a key without a tenant; None for one that belongs to no partition."""
        found = PARTITION_KEY.fullmatch(key)
        if found is None:
            return None
        thing, rest = found[1], found[2] or ""
        if thing == MARKER:
            size, _, names = rest.partition(":")
            rest = names[: int(size)]
        return cls(thing, rest)
