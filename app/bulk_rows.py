"""BulkRows: what every form of an upload is read as."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Protocol

from app.bulk_event import BulkEvent

ROWS_AT_ONCE = 100
"""After so many, other requests have their turn."""
Row = tuple[int, Any]
"""Its number, from 1, and what it says, not yet checked."""


class BulkRows(Protocol):
    """The rows of one upload."""

    def pieces(self) -> AsyncIterator[list[Row]]:
        """Give the rows, up to ROWS_AT_ONCE each time.

        Raises QueryError for what cannot be read, and ClientDisconnect when the client has gone.
        """

    def event(self, content: Any) -> BulkEvent:  # noqa: ANN401 (what `pieces` gave)
        """Check a row; raises pydantic's ValidationError and QueryError."""
