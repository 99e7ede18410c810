"""StoredEvents: training events as mapped files, sorted by user and time."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from engine.events import RATING
from engine.vocabulary import Vocabulary
from engine.window import HistoryColumns, HistoryWindow, offsets_of
from training.event_buckets import Names
from training.interactions import Interactions, parts, timed

CODED = {"user": "user_id", "item": "item_id", "kind": "kind"}
TYPES: Mapping[str, str] = {"item": "<i4", "rating": "<f8", "kind": "u1", "timestamp": "<f8", "value": "<f4"}


@dataclass(frozen=True, slots=True)
class StoredEvents:
    """A folder with one file a column; user u of `users` owns the rows offsets[u]:offsets[u+1]."""

    folder: Path
    users: npt.NDArray[np.int64]
    """Codes of those who have events."""
    offsets: npt.NDArray[np.int64]
    items: npt.NDArray[np.int64]
    """Codes of the items of the vocabulary, which the file "item" has the places in."""

    def column(self, name: str, mode: Any = "r") -> np.memmap[Any, Any]:  # noqa: ANN401 (numpy's own)
        """Map the file of a column."""
        return np.memmap(self.folder / name, dtype=TYPES[name], mode=mode)

    def interactions(self, names: Names, vocabulary: Vocabulary) -> Interactions:
        """Return the events as what networks learn from; the arrays stay on disk."""
        item, value, timestamp = (self.column(name) for name in ("item", "value", "timestamp"))
        columns = HistoryColumns(item, value, timestamp, self.offsets)
        user_ids = tuple(names.users.gather(self.users).to_list())
        return Interactions(vocabulary, user_ids, columns, self.column("rating"))

    def weigh(self, names: Names, window: HistoryWindow) -> None:
        """Write the value in 0..1 of every event, as the window says."""
        kinds, ratings = self.column("kind"), self.column("rating")
        with (self.folder / "value").open("wb") as file:
            for part in parts(len(kinds)):
                _values(kinds[part], ratings[part], names.kinds.to_list(), window).tofile(file)

    def renumber(self, places: npt.NDArray[np.int64]) -> None:
        """Put the place of an item in the vocabulary where its code was."""
        items = self.column("item", "r+")
        for part in parts(len(items)):
            items[part] = places[items[part]]
        items.flush()

    def frame(self, names: Names, users: npt.NDArray[np.integer]) -> pl.DataFrame:
        """Return the events of some users, by their codes, as a canonical frame, with the values of ratings alone."""
        owner = np.searchsorted(self.users, users)
        owner = owner[self.users[np.minimum(owner, len(self.users) - 1)] == users]
        runs = [np.arange(*self.offsets[user : user + 2]) for user in owner]
        rows = np.concatenate(runs) if runs else np.empty(0, dtype=np.int64)
        counts = np.diff(self.offsets)[owner]
        ratings = pl.Series(self.column("rating")[rows])
        return pl.DataFrame(
            {
                "user_id": names.users.gather(np.repeat(self.users[owner], counts)),
                "item_id": names.items.gather(self.items[self.column("item")[rows]]),
                "kind": names.kinds.gather(self.column("kind")[rows]),
                "value": ratings.set(ratings.is_nan(), None),
                "timestamp": self.column("timestamp")[rows],
                "row": rows.astype(np.uint64) + np.uint64(1),
            }
        )

    def digest(self) -> str:
        """Return a sha256 over the events."""
        digest = hashlib.sha256(self.users.tobytes() + self.offsets.tobytes() + self.items.tobytes())
        for name in ("item", "rating", "kind", "timestamp"):
            column = self.column(name)
            for part in parts(len(column)):
                digest.update(column[part].tobytes())
        return digest.hexdigest()


class StoredEventsWriter:
    """Appends the training events of one bucket of users after the other; a context manager."""

    def __init__(self, folder: Path, names: Names) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.counts = np.zeros(len(names.items), dtype=np.int64)
        """Training events of each item, by its code."""
        self._names = names
        self._users: list[npt.NDArray[np.int64]] = []
        self._lengths: list[npt.NDArray[np.int64]] = []
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        written = ("item", "rating", "kind", "timestamp")
        self._files = {name: self._stack.enter_context((self.folder / name).open("wb")) for name in written}
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def append(self, train: pl.DataFrame) -> None:
        """Take the events of users who all come after those before."""
        codes = _coded(train, self._names).sort("user", "timestamp", "row")
        self.counts += np.bincount(codes["item"], minlength=len(self.counts))
        for name, file in self._files.items():
            codes[name].to_numpy().astype(TYPES[name]).tofile(file)
        users, lengths = np.unique(codes["user"].to_numpy(), return_counts=True)
        self._users.append(users.astype(np.int64))
        self._lengths.append(lengths)

    def finished(self) -> StoredEvents:
        """Return the events, with items numbered by the vocabulary of those that train has."""
        present = self.counts > 0
        offsets = offsets_of(np.concatenate(self._lengths))
        stored = StoredEvents(self.folder, np.concatenate(self._users), offsets, np.flatnonzero(present))
        stored.renumber(np.cumsum(present) - 1)
        return stored


def _coded(train: pl.DataFrame, names: Names) -> pl.DataFrame:
    codes = {code: names.codes(name, train[name]) for code, name in CODED.items()}
    rating = pl.when(pl.col("kind") == RATING).then("value").fill_null(float("nan")).alias("rating")
    return train.select(rating, timed(), "row").with_columns(pl.Series(name, code) for name, code in codes.items())


def _values(
    kinds: npt.NDArray[np.uint8], ratings: npt.NDArray[np.float64], names: list[str], window: HistoryWindow
) -> npt.NDArray[np.float32]:
    # Events have few different ratings, and a window is asked for each of them once.
    values = np.empty(len(kinds), dtype=np.float32)
    for code in np.unique(kinds):
        own = kinds == code
        found, place = np.unique(ratings[own], return_inverse=True)
        values[own] = window.values_of(np.full(len(found), names[code]), found)[place]
    return values
