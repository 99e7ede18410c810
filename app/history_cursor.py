"""HistoryCursor: where the next page of a history begins, in a form that clients need not understand."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

from app.cursor_text import foreign, spelled, unspelled
from app.event_encoding import ARRIVAL_DIGITS


@dataclass(frozen=True, slots=True)
class HistoryCursor:
    """The place of an event in its history: its time in unix seconds, and its order among those of that time."""

    timestamp: float = math.inf
    arrival: int = 0

    @classmethod
    def of(cls, entry: bytes, timestamp: float) -> HistoryCursor:
        """Return the place of an entry of a history."""
        return cls(timestamp, int(entry[:ARRIVAL_DIGITS]))

    def encode(self) -> str:
        """Return the cursor as a client gets it."""
        content = json.dumps([self.timestamp, self.arrival], separators=(",", ":"))
        return spelled(content.encode())

    @classmethod
    def decode(cls, text: str) -> HistoryCursor:
        """Read what `encode` gave; raises QueryError for anything else."""
        try:
            match json.loads(unspelled(text)):
                case [float(timestamp), int(arrival)] if math.isfinite(timestamp) and not isinstance(arrival, bool):
                    return cls(timestamp, arrival)
        except (ValueError, RecursionError):
            pass
        raise foreign(text)
