"""Interactions: the training events as arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from engine.events import RATING, Event, History
from engine.vocabulary import Vocabulary
from engine.window import HistoryColumns, HistoryWindow, offsets_of

Floats = npt.NDArray[np.float32]
SECONDS_PER_DAY = 86_400.0
AT_ONCE = 1 << 20


@dataclass(frozen=True, slots=True)
class Interactions:
    """The events of all users, sorted by user and time; user u owns the rows offsets[u]:offsets[u+1] of `columns`."""

    vocabulary: Vocabulary
    user_ids: tuple[str, ...]
    columns: HistoryColumns
    ratings: npt.NDArray[np.float64]
    """The rating of each event in the units of the data, NaN where there is none."""

    @classmethod
    def of(cls, events: pl.DataFrame, vocabulary: Vocabulary, window: HistoryWindow) -> Interactions:
        """Take the events whose item is in the vocabulary and whose kind has no negative weight."""
        against = [kind for kind, weight in window.event_weights.items() if weight < 0]
        taken = pl.col("item_id").is_in(list(vocabulary.ids())) & ~pl.col("kind").is_in(against)
        known = events.filter(taken).with_columns(timed())
        known = known.sort("user_id", "timestamp", "row")
        users = known.group_by("user_id", maintain_order=True).len()
        rating = pl.when(pl.col("kind") == RATING).then("value").cast(pl.Float64)
        ratings = known.select(rating.fill_null(float("nan"))).to_series().to_numpy()
        columns = HistoryColumns(
            vocabulary.indices_of(known["item_id"]),
            window.values_of(known["kind"].to_numpy().astype(str), ratings),
            known["timestamp"].to_numpy(),
            offsets_of(users["len"].to_numpy()),
        )
        return cls(vocabulary, tuple(users["user_id"]), columns, ratings)

    @property
    def popularity(self) -> Floats:
        """The number of events of each item [N]."""
        return counts(self.columns.item_index, len(self.vocabulary)).astype(np.float32)

    @property
    def has_ratings(self) -> bool:
        """Whether any event carries a rating."""
        return not all(bool(np.isnan(self.ratings[part]).all()) for part in parts(len(self.ratings)))

    def transposed(self) -> Interactions:
        """Return the same events with users in the place of items: each item has a "history" of users."""
        owner = np.repeat(np.arange(len(self.user_ids)), np.diff(self.columns.offsets))
        order = np.lexsort((owner, self.columns.item_index))
        counts = np.bincount(self.columns.item_index, minlength=len(self.vocabulary))
        value, timestamp = self.columns.value[order], self.columns.timestamp[order]
        columns = HistoryColumns(owner[order], value, timestamp, offsets_of(counts))
        return Interactions(Vocabulary(self.user_ids), self.vocabulary.ids(), columns, self.ratings[order])

    def without_newest(self, count: int) -> HistoryColumns:
        """Return the columns without the newest `count` events of each user, or a quarter where that is less."""
        return self.columns.runs(self.columns.offsets[:-1], self._earlier_ends(count))

    def prefixes(self, count: int, most: int, seed: int) -> tuple[HistoryColumns, npt.NDArray[np.int64]]:
        """Return, for each event that `without_newest` leaves out, the history before it; and that event's item.

        Of more than `most` such events, `most` are drawn by the seed.
        """
        earlier, ends = self._earlier_ends(count), self.columns.offsets[1:]
        held = ends - earlier
        owner = np.repeat(np.arange(len(held)), held)
        targets = np.arange(held.sum()) - np.repeat(offsets_of(held)[:-1], held) + earlier[owner]
        if len(targets) > most:
            drawn = np.sort(np.random.default_rng(seed).choice(len(targets), most, replace=False))
            owner, targets = owner[drawn], targets[drawn]
        return self.columns.runs(self.columns.offsets[:-1][owner], targets), self.columns.item_index[targets]

    def _earlier_ends(self, count: int) -> npt.NDArray[np.int64]:
        starts, ends = self.columns.offsets[:-1], self.columns.offsets[1:]
        earlier: npt.NDArray[np.int64] = ends - np.minimum(count, (ends - starts) // 4)
        return earlier


def parts(count: int) -> Iterator[slice]:
    """Yield slices of `count` rows, so that what is made of a mapped array is never as large as all of it."""
    return (slice(start, min(start + AT_ONCE, count)) for start in range(0, count, AT_ONCE))


def counts(indices: npt.NDArray[np.integer], count: int) -> npt.NDArray[np.int64]:
    """Return how often each of 0..count-1 occurs."""
    found = np.zeros(count, dtype=np.int64)
    for part in parts(len(indices)):
        found += np.bincount(indices[part], minlength=count)
    return found


def timed() -> pl.Expr:
    """Give the timestamp; data without a clock has its order from the rows, so their numbers stand in."""
    return pl.coalesce("timestamp", pl.col("row").cast(pl.Float64))


def histories_of(events: pl.DataFrame, user_ids: Sequence[str]) -> list[History]:
    """Return the history of each user, empty for a user without events."""
    wanted = pl.DataFrame({"user_id": list(user_ids)}, schema={"user_id": pl.String})
    rows = events.join(wanted, on="user_id", how="semi").with_columns(timed()).sort("user_id", "timestamp", "row")
    grouped: dict[str, list[Event]] = {user_id: [] for user_id in user_ids}
    for user_id, *rest in rows.select("user_id", "item_id", "kind", "value", "timestamp").iter_rows():
        grouped[user_id].append(Event(user_id, *rest))
    return [History.of(grouped[user_id]) for user_id in user_ids]
