"""HistoryWindow: the only code that truncates, pads or scales a history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from engine.errors import DataError
from engine.events import RATING, Event, History
from engine.items import ItemTable

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
SECONDS_PER_DAY = 86_400.0


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


@dataclass(frozen=True, slots=True)
class IndexBatch:
    """Histories as right-padded rows: indices [B,L] (padding row N), values [B,L], ages [B,L] in days, lengths [B]."""

    indices: Indices
    values: Floats
    ages: Floats
    lengths: Indices


@dataclass(frozen=True, slots=True)
class HistoryBatch:
    """What a network reads: vectors [B,L,D], values [B,L], ages [B,L] in days, lengths [B]; right-padded with zeros.

    `indices` [B,L] say which items the vectors belong to; they are for features, networks see vectors only.
    """

    indices: Indices
    vectors: Floats
    values: Floats
    ages: Floats
    lengths: Indices


class HistoryWindow(BaseModel):
    """How a history becomes the input of a network; part of the bundle, so that training and service agree."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_length: int = Field(default=200, ge=1, le=10_000)
    """How many of the newest events a network sees."""
    rating_scale: tuple[float, float] = (1.0, 5.0)
    """The lowest and the highest rating of the data; they become 0 and 1."""
    event_weights: dict[str, float] = Field(default_factory=lambda: {"view": 1.0})
    """The value in 0..1 of each kind of event that carries no rating."""

    def value_of(self, event: Event) -> float:
        """Return the event's value in 0..1; raises DataError for a kind that has no weight."""
        if event.value is not None:
            low, high = self.rating_scale
            return float(min(max((event.value - low) / (high - low), 0.0), 1.0))
        if event.kind not in self.event_weights:
            raise DataError(
                f"event kind {event.kind!r} has no weight; known kinds: {RATING} and {sorted(self.event_weights)}"
            )
        return self.event_weights[event.kind]

    def values_of(self, kinds: npt.NDArray[np.str_], ratings: npt.NDArray[np.float64]) -> Floats:
        """Return the values in 0..1 of many events at once; a rating is NaN where there is none."""
        names, codes = np.unique(kinds, return_inverse=True)
        sample = [Event("", "", str(name), None, 0.0) for name in names]
        weights = [0.0 if event.kind == RATING else self.value_of(event) for event in sample]
        low, high = self.rating_scale
        scaled = np.clip((ratings - low) / (high - low), 0.0, 1.0)
        implicit = np.asarray(weights, dtype=np.float64)[codes] if len(names) else scaled
        return np.where(np.isnan(ratings), implicit, scaled).astype(np.float32)

    def columns(self, histories: Sequence[History], items: ItemTable) -> HistoryColumns:
        """Look histories up in the item table; events with items it does not know are left out."""
        events = [event for history in histories for event in history.events]
        owners = np.repeat(np.arange(len(histories)), [len(history.events) for history in histories])
        item_index = items.vocabulary.indices_of(event.item_id for event in events)
        known = item_index >= 0
        value = np.fromiter((self.value_of(event) for event in events), dtype=np.float32, count=len(events))
        timestamp = np.fromiter((event.timestamp for event in events), dtype=np.float64, count=len(events))
        counts = np.bincount(owners[known], minlength=len(histories))
        return HistoryColumns(item_index[known], value[known], timestamp[known], offsets_of(counts))

    def newest(self, columns: HistoryColumns, padding_index: int) -> IndexBatch:
        """Return the newest `max_length` events of each user, one row a user."""
        ends = columns.offsets[1:]
        starts = np.maximum(columns.offsets[:-1], ends - self.max_length)
        return _rows(columns, starts, ends, padding_index)

    def every(
        self, columns: HistoryColumns, padding_index: int, random: np.random.Generator | None = None
    ) -> IndexBatch:
        """Return all events for training: histories longer than the window become several rows.

        They are cut from the newest event on, or with `random` somewhere else each time. Neighbouring rows share one
        event, so that each event but a user's first is the successor of another exactly once.
        """
        stride = max(self.max_length - 1, 1)
        steps = np.diff(columns.offsets) - 1
        first = np.full(len(steps), stride) if random is None else random.integers(1, stride + 1, len(steps))
        first = np.where(steps > stride, first, stride)
        pieces = 1 + np.maximum(-(-(steps - first) // stride), 0)
        owner = np.repeat(np.arange(len(steps)), pieces)
        piece = np.arange(len(owner)) - np.repeat(offsets_of(pieces)[:-1], pieces)
        lasts = columns.offsets[1:][owner]
        ends = np.where(piece == 0, lasts, lasts - first[owner] - (piece - 1) * stride)
        starts = np.maximum(columns.offsets[:-1][owner], lasts - first[owner] - piece * stride - 1)
        return _rows(columns, starts, ends, padding_index)

    def batch(self, columns: HistoryColumns, items: ItemTable) -> HistoryBatch:
        """Return what a network reads for these histories."""
        rows = self.newest(columns, items.vocabulary.padding_index)
        return HistoryBatch(rows.indices, items.gather(rows.indices), rows.values, rows.ages, rows.lengths)


def offsets_of(counts: npt.NDArray[np.integer]) -> Indices:
    """Return the B+1 borders of B runs of the given lengths."""
    return np.concatenate(([0], np.cumsum(counts))).astype(np.int64)


def _rows(columns: HistoryColumns, starts: Indices, ends: Indices, padding_index: int) -> IndexBatch:
    lengths = ends - starts
    # A network of length zero has no defined shape: an empty history is one row of padding.
    width = max(int(lengths.max(initial=0)), 1)
    positions = starts[:, None] + np.arange(width)
    inside = positions < ends[:, None]
    positions = np.where(inside, positions, 0)
    if not len(columns.item_index):
        blank = np.zeros(positions.shape, dtype=np.float32)
        return IndexBatch(np.full(positions.shape, padding_index, dtype=np.int64), blank, blank.copy(), lengths)
    newest = columns.timestamp[np.maximum(ends - 1, 0)]
    ages = (newest[:, None] - columns.timestamp[positions]) / SECONDS_PER_DAY
    return IndexBatch(
        np.where(inside, columns.item_index[positions], padding_index),
        np.where(inside, columns.value[positions], 0.0).astype(np.float32),
        np.where(inside, ages, 0.0).astype(np.float32),
        lengths,
    )
