"""LoggedEvent: an entry of the event log."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from engine.events import Event


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """An event as it was sent, what its history's version was with it, and the time that counts (unix seconds)."""

    log_id: str
    event: Event
    version: int
    timestamp: float

    @property
    def arrived(self) -> float:
        """When it was logged, in unix seconds."""
        return int(self.log_id.partition("-")[0]) / 1_000

    @classmethod
    def of_entry(cls, log_id: bytes, fields: Mapping[bytes, bytes]) -> Self:
        """Read an entry of the stream."""
        sent = json.loads(fields[b"event"])
        # Of a newer version it may say more.
        event = Event(**{name: sent[name] for name in Event._fields})
        return cls(log_id.decode(), event, int(fields[b"version"]), float(fields[b"timestamp"]))
