"""An entry of the log is read whatever version wrote it."""

from __future__ import annotations

import json

import pytest

from app.event_encoding import log_entry
from app.logged_event import LoggedEvent
from engine.events import Event

EVENT = Event('user "1"/ключ', "item 1", "rating", 4.0, 1_700_000_000.5, "e-1", "r-1")


def fields(event: str) -> dict[bytes, bytes]:
    return {b"event": event.encode(), b"version": b"7", b"timestamp": b"1700000001.25"}


def test_it_is_what_was_written() -> None:
    assert LoggedEvent.of_entry(b"1795400000000-3", fields(log_entry(EVENT))) == LoggedEvent(
        "1795400000000-3", EVENT, 7, 1_700_000_001.25
    )


def test_what_a_newer_version_says_besides_is_passed_over() -> None:
    written = json.dumps(EVENT._asdict() | {"colour": "red"})
    assert LoggedEvent.of_entry(b"1-0", fields(written)).event == EVENT


def test_what_is_missing_is_not_made_up() -> None:
    written = {name: value for name, value in EVENT._asdict().items() if name != "event_id"}
    with pytest.raises(KeyError, match="event_id"):
        LoggedEvent.of_entry(b"1-0", fields(json.dumps(written)))
