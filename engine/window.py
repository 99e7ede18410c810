"""HistoryWindow: the only code that truncates, pads or scales a history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from engine.errors import DataError
from engine.events import RATING, Event, History
from engine.items import ItemTable

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
Weight = Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False)]
SECONDS_PER_DAY = 86_400.0
DEFAULT_WEIGHTS: dict[str, float] = {
    "view": 0.6,
    "click": 0.7,
    "like": 1.0,
    "purchase": 1.0,
    "skip": -0.3,
    "dislike": -1.0,
}
"""What a service makes of kinds of which neither its bundle nor its settings say anything."""
MOST_DISLIKES = 50
NOTHING = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class HistoryColumns:
    """The histories of B users one after the other, oldest event first, items of the vocabulary only.

    item_index [E]; value [E] in 0..1; timestamp [E] in unix seconds; offsets [B+1]: user b owns
    offsets[b]:offsets[b+1].
    """

    item_index: Indices
    value: Floats
    timestamp: npt.NDArray[np.float64]
    offsets: Indices

    def runs(self, starts: Indices, ends: Indices) -> HistoryColumns:
        """Return the events of starts[b]:ends[b] as the histories of B users; the runs may overlap."""
        lengths = ends - starts
        offsets = offsets_of(lengths)
        rows = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], lengths)
        return HistoryColumns(self.item_index[rows], self.value[rows], self.timestamp[rows], offsets)

    def kept(self, keep: npt.NDArray[np.bool_]) -> HistoryColumns:
        """Return the same histories without the events [E] that are not to be kept."""
        if keep.all():
            return self
        offsets = offsets_of(keep)[self.offsets]
        return HistoryColumns(self.item_index[keep], self.value[keep], self.timestamp[keep], offsets)


@dataclass(frozen=True, slots=True)
class IndexBatch:
    """Histories as right-padded rows: indices [B,L] (padding row N), values [B,L], ages [B,L] in days, lengths [B]."""

    indices: Indices
    values: Floats
    ages: Floats
    lengths: Indices

    def only(self, rows: Indices) -> IndexBatch:
        """Return some of the rows, no wider than the longest of them."""
        lengths = self.lengths[rows]
        width = max(int(lengths.max(initial=0)), 1)
        return IndexBatch(self.indices[rows, :width], self.values[rows, :width], self.ages[rows, :width], lengths)

    def newest(self, count: int | None, padding_index: int) -> Indices:
        """Return the indices of the newest `count` events of each row (all, if None), right-padded."""
        return self.indices if count is None else self.cut(count, padding_index).indices

    def cut(self, count: int, padding_index: int) -> IndexBatch:
        """Return the newest `count` events of each row, right-padded."""
        width = self.indices.shape[1]
        if width <= count:
            return self
        positions = np.maximum(self.lengths - count, 0)[:, None] + np.arange(count)
        inside = positions < self.lengths[:, None]
        values, ages = (np.take_along_axis(array, positions, axis=1) for array in (self.values, self.ages))
        indices = np.where(inside, np.take_along_axis(self.indices, positions, axis=1), padding_index)
        return IndexBatch(indices, values * inside, ages * inside, np.minimum(self.lengths, count))

    def kept(self, keep: npt.NDArray[np.bool_], padding_index: int) -> IndexBatch:
        """Return the same rows without the events [B,L] that are not to be kept, right-padded."""
        order = np.argsort(~keep, axis=1, kind="stable")
        keep = np.take_along_axis(keep, order, axis=1)
        values, ages = (np.take_along_axis(array, order, axis=1) for array in (self.values, self.ages))
        indices = np.where(keep, np.take_along_axis(self.indices, order, axis=1), padding_index)
        return IndexBatch(indices, values * keep, ages * keep, keep.sum(axis=1))


@dataclass(frozen=True, slots=True)
class HistoryBatch:
    """What a network reads: vectors [B,L,D], values [B,L], ages [B,L] in days, lengths [B]; right-padded with zeros."""

    vectors: Floats
    values: Floats
    ages: Floats
    lengths: Indices


class HistoryWindow(BaseModel):
    """How a history becomes the input of a network; part of the bundle, so that training and service agree."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_length: int = Field(default=128, ge=1, le=10_000)
    """How many of the newest events a network sees."""
    rating_scale: tuple[float, float] = (1.0, 5.0)
    """The lowest and the highest rating of the data; they become 0 and 1."""
    event_weights: dict[str, Weight] = Field(default_factory=lambda: {"view": 1.0})
    """The value in 0..1 of each kind of event that carries no rating; networks never see kinds below 0."""
    has_clock: bool = True
    """Whether timestamps are times; if not they only give the order, and all ages are 0."""

    def with_weights(self, more: Mapping[str, float]) -> HistoryWindow:
        """Return the same window with further weights (-1..1), which win over its own."""
        return self.model_copy(update={"event_weights": self.event_weights | dict(more)})

    def knows(self, event: Event) -> bool:
        """Return whether the event has a value in 0..1; one without counts as seen but not in a network."""
        return event.value is not None if event.kind == RATING else self.event_weights.get(event.kind, -1.0) >= 0.0

    def dislikes(self, history: History, items: ItemTable) -> tuple[Indices, Floats]:
        """Return the newest events of negative weight, newest first: item_index [D], D <= 50, and strength [D] in 0..1.

        Items that the table does not know are passed over.
        """
        negative = {kind for kind, weight in self.event_weights.items() if weight < 0.0}
        against = [event for event in reversed(history.events) if event.kind in negative] if negative else []
        if not against:
            return NOTHING
        item_index = items.vocabulary.indices_of(event.item_id for event in against)
        strength = np.array([-self.event_weights[event.kind] for event in against], dtype=np.float32)
        known = np.flatnonzero(item_index >= 0)[:MOST_DISLIKES]
        return item_index[known], strength[known]

    def values_of(self, kinds: npt.NDArray[np.str_], ratings: npt.NDArray[np.float64]) -> Floats:
        """Return the values in 0..1 of events [E]; raises DataError for a kind that has no weight."""
        names, codes = np.unique(kinds, return_inverse=True)
        if unknown := [str(name) for name in names if name != RATING and name not in self.event_weights]:
            raise DataError(
                f"event kind {unknown[0]!r} has no weight, only {sorted(self.event_weights)} have; state one with"
                f" --set window.event_weights.{unknown[0]}=0.5"
            )
        weights = np.array([self.event_weights.get(str(name), 0.0) for name in names] or [0.0])
        return np.where(kinds == RATING, self._scaled(ratings), weights[codes] if len(codes) else 0.0).astype(
            np.float32
        )

    def _scaled(self, ratings: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        low, high = self.rating_scale
        return ((ratings - low) / (high - low)).clip(0.0, 1.0)

    def columns(self, histories: Sequence[History], items: ItemTable, found: Indices | None = None) -> HistoryColumns:
        """Look histories up in the item table; events without value and those of items without vectors are left out.

        found: the indices [E] of the items of all their events, where they have been looked up already.
        """
        events = [event for history in histories for event in history.events]
        if found is None:
            found = items.vocabulary.indices_of(event.item_id for event in events)
        value = self._values(events)
        timestamp = np.array([event.timestamp for event in events], dtype=np.float64)
        offsets = offsets_of([len(history.events) for history in histories])
        return HistoryColumns(found, value, timestamp, offsets).kept(items.is_readable(found) & (value >= 0))

    def _values(self, events: Sequence[Event]) -> Floats:
        """Return the values in 0..1 of events [E]; below 0, or no number, for those that have none."""
        ratings = np.array([event.value if event.kind == RATING else None for event in events], dtype=np.float64)
        value = self._scaled(ratings)
        for place in np.flatnonzero(np.isnan(value)).tolist():
            if (kind := events[place].kind) != RATING:
                value[place] = self.event_weights.get(kind, -1.0)
        return value.astype(np.float32)

    def newest(self, columns: HistoryColumns, padding_index: int) -> IndexBatch:
        """Return the newest `max_length` events of each user, one row a user."""
        ends = columns.offsets[1:]
        starts = np.maximum(columns.offsets[:-1], ends - self.max_length)
        return self._rows(columns, starts, ends, padding_index)

    def every(
        self, columns: HistoryColumns, padding_index: int, random: np.random.Generator | None = None
    ) -> IndexBatch:
        """Return all events for training, one row for each of the `pieces`."""
        return self._rows(columns, *self.pieces(columns.offsets, random), padding_index)

    def pieces(self, offsets: Indices, random: np.random.Generator | None = None) -> tuple[Indices, Indices]:
        """Return where rows for training start and end: histories longer than the window become several rows.

        They are cut from the newest event on, or with `random` somewhere else each time. Neighbouring rows share one
        event, so that each event but a user's first is the successor of another exactly once.
        """
        stride = max(self.max_length - 1, 1)
        steps = np.diff(offsets) - 1
        first = np.full(len(steps), stride) if random is None else random.integers(1, stride + 1, len(steps))
        first = np.where(steps > stride, first, stride)
        pieces = 1 + np.maximum(-(-(steps - first) // stride), 0)
        owner = np.repeat(np.arange(len(steps)), pieces)
        piece = np.arange(len(owner)) - np.repeat(offsets_of(pieces)[:-1], pieces)
        lasts = offsets[1:][owner]
        ends = np.where(piece == 0, lasts, lasts - first[owner] - (piece - 1) * stride)
        starts = np.maximum(offsets[:-1][owner], lasts - first[owner] - piece * stride - 1)
        return starts, ends

    def _rows(self, columns: HistoryColumns, starts: Indices, ends: Indices, padding_index: int) -> IndexBatch:
        lengths = ends - starts
        # A network of length zero has no defined shape: an empty history is one row of padding.
        width = max(int(lengths.max(initial=0)), 1)
        positions = starts[:, None] + np.arange(width)
        inside = positions < ends[:, None]
        if not len(columns.item_index):
            blank = np.zeros(positions.shape, dtype=np.float32)
            return IndexBatch(np.full(positions.shape, padding_index, dtype=np.int64), blank, blank.copy(), lengths)
        positions[~inside] = 0
        newest = columns.timestamp[np.maximum(ends - 1, 0)]
        ages = (newest[:, None] - columns.timestamp[positions]) / SECONDS_PER_DAY * self.has_clock
        values = columns.value[positions].astype(np.float32, copy=False)
        rows = IndexBatch(columns.item_index[positions], values, ages.astype(np.float32), lengths)
        if not inside.all():
            rows.indices[~inside], rows.values[~inside], rows.ages[~inside] = padding_index, 0.0, 0.0
        return rows


def offsets_of(counts: npt.ArrayLike) -> Indices:
    """Return the B+1 borders of B runs of the given lengths."""
    counts = np.asarray(counts)
    offsets = np.zeros(len(counts) + 1, dtype=np.int64)
    counts.cumsum(out=offsets[1:])
    return offsets
