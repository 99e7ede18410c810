"""Bulk: many events, sent in pieces that fit in memory, each of which may be sent again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Literal

import httpx

from liverec.client.answers import BulkReport
from liverec.client.call import Call
from liverec.client.decoding import decode
from liverec.client.errors import AnswerError, error_class
from liverec.client.events import Feedback, Rating, body_of

EVENTS_AT_ONCE = 20_000
LONG_SECONDS = 600.0
NDJSON, PARQUET = "application/x-ndjson", "application/vnd.apache.parquet"
OnError = Literal["stop", "skip"]
Events = Iterable[Rating | Feedback] | Path


@dataclass(frozen=True, slots=True)
class BulkCall(Call[BulkReport]):
    """One upload; what it answers is the last of its reports."""

    def answer(self, response: httpx.Response) -> BulkReport:
        """Return the last report; raises ApiError for an upload that did not come to its end."""
        if not response.is_success:
            raise self._refused(response)
        try:
            last = json.loads(response.text.splitlines()[-1])
        except (ValueError, IndexError) as error:
            raise AnswerError(f"{self}: the answer is no report: {response.text:.100}") from error
        if isinstance(last, dict) and "status" in last:
            raise error_class(last["status"])(str(self), last["status"], last)
        if not isinstance(last, dict) or not last.get("done"):
            raise AnswerError(f"{self}: the answer has no end: {last!r:.100}")
        return self.read(last)


def bulk_calls(events: Events, on_error: OnError) -> Iterator[BulkCall]:
    """Give the calls that send all events, one after the other."""
    if isinstance(events, Path) and events.suffix == ".parquet":
        yield _call(events.read_bytes(), PARQUET, on_error)
        return
    lines = _file_lines(events) if isinstance(events, Path) else _event_lines(events)
    while piece := list(islice(lines, EVENTS_AT_ONCE)):
        yield _call(b"".join(piece), NDJSON, on_error)


def _call(content: bytes, kind: str, on_error: OnError) -> BulkCall:
    read, headers = partial(decode, BulkReport), {"Content-Type": kind}
    return BulkCall("POST", "/events/bulk", read, {"on_error": on_error}, content, headers, LONG_SECONDS)


def _file_lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from file


def _event_lines(events: Iterable[Rating | Feedback]) -> Iterator[bytes]:
    for event in events:
        yield json.dumps(body_of(event), ensure_ascii=False, allow_nan=False).encode() + b"\n"
