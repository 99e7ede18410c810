"""BulkLines: an upload of NDJSON, read as it comes."""

from __future__ import annotations

from collections.abc import AsyncIterator

from app.bulk_event import BulkEvent
from app.bulk_rows import ROWS_AT_ONCE, Row
from engine.errors import QueryError

Stream = AsyncIterator[bytes]
NDJSON = "application/x-ndjson"
MOST_LINE_BYTES = 16_384


class BulkLines:
    """One JSON object on each line; empty lines are skipped. No more of it is held than what came last."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._number = 0

    async def pieces(self) -> AsyncIterator[list[Row]]:
        """Give the lines; raises QueryError for one that is too long, and ClientDisconnect."""
        rest = b""
        async for piece in self._stream:
            *lines, rest = (rest + piece).split(b"\n")
            for start in range(0, len(lines), ROWS_AT_ONCE):
                yield self._numbered(lines[start : start + ROWS_AT_ONCE])
            _check(rest, f"line {self._number + 1}: ")
        yield self._numbered([rest])

    def event(self, content: bytes) -> BulkEvent:
        """Read a line; raises ValidationError, and QueryError for one that is too long."""
        _check(content)
        return BulkEvent.model_validate_json(content)

    def _numbered(self, lines: list[bytes]) -> list[Row]:
        rows = [(number, line) for number, line in enumerate(lines, self._number + 1) if line and not line.isspace()]
        self._number += len(lines)
        return rows


def _check(line: bytes, which: str = "") -> None:
    if len(line) > MOST_LINE_BYTES:
        raise QueryError(f"{which}it is longer than {MOST_LINE_BYTES} bytes; send one event on each line")
