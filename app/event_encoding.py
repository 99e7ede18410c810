"""How events are written: whole in the log, without what the key tells in a history."""

from __future__ import annotations

import json
from collections.abc import Sequence
from json.encoder import encode_basestring as quoted

from engine.events import Event

ARRIVAL_DIGITS = 16
"""With which an entry of a history begins; they order the entries of one time."""


def encode_json(value: object) -> str:
    """Return compact JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def log_entry(event: Event) -> str:
    """Return an event as the log has it."""
    # By hand, here and below: `json` takes several times as long.
    return (
        f'{{"user_id":{quoted(event.user_id)},"item_id":{quoted(event.item_id)},"kind":{quoted(event.kind)}'
        f',"value":{_number(event.value)},"timestamp":{event.timestamp!r},"event_id":{quoted(event.event_id)}'
        f',"recommendation_id":{quoted(event.recommendation_id)}}}'
    )


def log_prefix(user_id: str) -> bytes:
    """Return what all log entries of a user begin with, and nobody else's: it saves parsing the others'."""
    return f'{{"user_id":{encode_json(user_id)},'.encode()


def history_entry(event: Event) -> str:
    """Return an event as its history has it, behind the digits."""
    # The time that counts is the entry's score; here it keeps two views of one item from being one entry.
    return f"{owner_of_id(event)[:-1]},{event.timestamp!r},{quoted(event.event_id)}]"


def owner_of_id(event: Event) -> str:
    """Return what must be the same if an event_id comes again."""
    return f"[{quoted(event.item_id)},{quoted(event.kind)},{_number(event.value)}]"


def decode_entries(user_id: str, entries: Sequence[tuple[bytes, float]]) -> list[Event]:
    """Read entries of a history, each with its time."""
    # To parse all at once takes half the time.
    rows = json.loads(b"[" + b",".join([entry[ARRIVAL_DIGITS:] for entry, _ in entries]) + b"]")
    return [
        Event(user_id, item_id, kind, value, timestamp, event_id)
        for (item_id, kind, value, _, event_id), (_, timestamp) in zip(rows, entries, strict=True)
    ]


def _number(value: float | None) -> str:
    return "null" if value is None else repr(value)
