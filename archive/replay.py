"""Replay: what a history must hold, from the events that were written, by the rules of app/scripts/place.lua."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from archive.event_rows import EventRow
from engine.events import OPINIONS, STANCES, UNDO

FEWEST_KEPT = 10
"""No history is trimmed to less (app.settings.Settings.history_limit)."""


class HistoryEntry(NamedTuple):
    """An event of a history. Sorted, they are in the order of the history: by time, equal times by arrival."""

    timestamp: float
    arrival: int
    item_id: str
    kind: str
    value: float | None
    event_id: str

    @classmethod
    def of(cls, row: EventRow) -> HistoryEntry:
        """Return the entry that a row of the log makes."""
        return cls(row.timestamp, row.history_version, row.item_id, row.kind, row.value, row.event_id)


def counting(entries: Iterable[HistoryEntry]) -> list[HistoryEntry]:
    """Return what counts, oldest first: of what is said of an item only the newest, and nothing if that is an undo."""
    ordered = sorted(entries, key=_place)
    newest = {entry.item_id: entry for entry in ordered if entry.kind in STANCES}
    return [
        entry
        for entry in ordered
        if entry.kind not in STANCES or (entry is newest[entry.item_id] and entry.kind != UNDO)
    ]


def differences(
    rows: Sequence[EventRow], history: Sequence[HistoryEntry], *, is_trimmed: bool, has_expired: bool
) -> list[str]:
    """Say how a history differs from what the written events make of it.

    Events of offline files (without event_id) are taken as the history has them. `is_trimmed`: the history has lost its
    oldest. `has_expired`: the oldest events may be missing among the rows.
    """
    written = [HistoryEntry.of(row) for row in rows]
    first = min((entry.arrival for entry in written), default=None)
    given = [
        entry for entry in history if not entry.event_id or (has_expired and (first is None or entry.arrival < first))
    ]
    everything = written + given
    expected, there = counting(everything), set(history)
    missing = [entry for entry in expected if entry not in there]
    if is_trimmed:
        # What was trimmed had at least so many newer ones then; those are still among the events.
        newer = sorted(map(_place, everything))[-FEWEST_KEPT:]
        missing = [entry for entry in missing if _place(entry) >= newer[0]]
    if has_expired:
        missing = [entry for entry in missing if entry.kind not in OPINIONS]
    counted = set(expected)
    surplus = [entry for entry in history if entry not in counted]
    return [f"lacks {_named(entry)}" for entry in missing] + [f"should not have {_named(entry)}" for entry in surplus]


def _place(entry: HistoryEntry) -> tuple[float, int]:
    return entry.timestamp, entry.arrival


def _named(entry: HistoryEntry) -> str:
    return f"{entry.kind} of item {entry.item_id!r} (event {entry.event_id!r}, version {entry.arrival})"
