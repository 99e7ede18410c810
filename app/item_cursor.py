"""ItemCursor: where the next page of items begins, in a form that clients need not understand."""

from __future__ import annotations

import json
from dataclasses import dataclass

from app.cursor_text import foreign, spelled, unspelled

Place = tuple[float, str]
"""added_at and item_id: the same in every worker, and no change of an item moves it."""
BEFORE_ALL: Place = (-1.0, "")


@dataclass(frozen=True, slots=True)
class ItemCursor:
    """An index among the bundle's items, or the place after which the live ones go on."""

    index: int = 0
    place: Place | None = None

    def encode(self) -> str:
        """Return the cursor as a client gets it."""
        content = [self.index] if self.place is None else list(self.place)
        return spelled(json.dumps(content, separators=(",", ":")).encode())

    @classmethod
    def decode(cls, text: str) -> ItemCursor:
        """Read what `encode` gave; raises QueryError for anything else."""
        try:
            match json.loads(unspelled(text)):
                case [int(index)] if index >= 0 and not isinstance(index, bool):
                    return cls(index)
                case [float(added_at), str(item_id)]:
                    return cls(place=(added_at, item_id))
        except (ValueError, RecursionError):
            pass
        raise foreign(text)
