"""HistoryCursor: where the next page of a history begins, in a form that clients need not understand."""

from __future__ import annotations

import base64
import binascii
import json
import math
from dataclasses import dataclass

from app.event_encoding import ARRIVAL_DIGITS
from engine.errors import QueryError


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
        return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> HistoryCursor:
        """Read what `encode` gave; raises QueryError for anything else."""
        try:
            match json.loads(base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)):
                case [float(timestamp), int(arrival)] if math.isfinite(timestamp) and not isinstance(arrival, bool):
                    return cls(timestamp, arrival)
        except (binascii.Error, ValueError, RecursionError):
            pass
        raise QueryError(f"cursor: {text!r:.100} is none that this service gave; begin without one")
