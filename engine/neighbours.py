"""NeighbourTable: the strongest item-to-item weights, so that scoring a live history is a sparse gather."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
Items = npt.NDArray[np.integer[Any]]
MOST_LISTED = 250_000
"""Of more items a list of all is not made for each request: the system takes milliseconds to empty it."""
SIEVE = 1 << 14


@dataclass(frozen=True, slots=True)
class Links:
    """Weights [W] from the events at some places [W] of a history, in order, to the candidates at some places [W]."""

    events: Indices
    places: Indices
    weights: Floats
    candidates: int

    def sums(self, since: int = 0) -> Floats:
        """Return the summed weight to each candidate [K] from the events at the place `since` and behind it."""
        first = self.events.searchsorted(since)
        sums = np.bincount(self.places[first:], self.weights[first:], minlength=self.candidates)
        return sums.astype(np.float32)


class Sought:
    """Candidates [K] to be found among many items, in time that does not grow with the catalogue."""

    def __init__(self, candidates: Indices) -> None:
        """Take candidates that differ from each other; -1 stands for none."""
        self.places = candidates.argsort()
        self._ordered = candidates[self.places]
        # A look at some bits of an item tells of most that they are no candidates.
        self._is_near = np.zeros(SIEVE, dtype=bool)
        self._is_near[candidates & (SIEVE - 1)] = True

    def among(self, items: npt.NDArray[np.int32]) -> tuple[Indices, Indices]:
        """Return where candidates stand among items [M], in order, and which candidates these are."""
        near = self._is_near.take(items & (SIEVE - 1)).nonzero()[0]
        found = items[near]
        places = self._ordered.searchsorted(found)
        is_met = self._ordered.take(places, mode="clip") == found
        return near[is_met], self.places[places[is_met]]


@dataclass(frozen=True, slots=True)
class NeighbourTable:
    """indices int32 [N+1,M] and weights [N+1,M]: the M strongest neighbours of each item; row N (padding) weighs 0."""

    indices: npt.NDArray[np.int32]
    weights: Floats

    def scores(self, history: Indices, candidates: Indices) -> Floats:
        """Return the summed weight from a row's history items [B,H] to each of its candidates [B,K] as [B,K].

        Candidates of a row must differ from each other; -1 stands for none and scores 0, and so does a live item, which
        has no neighbours.
        """
        if len(history) > 1 and (shared := self._shared(history, candidates)) is not None:
            return shared
        return np.stack([self._row(*row) for row in zip(history, candidates, strict=True)])

    def links(self, history: Indices, sought: Sought) -> Links:
        """Return what leads from a history's items [H] to candidates (see `scores`)."""
        events = (history < len(self.indices) - 1).nonzero()[0]
        items = history[events]
        met, places = sought.among(self.indices[items].ravel())
        event, column = np.divmod(met, self.indices.shape[1])
        # Of the weights only those are read that count: each may be far from the others in memory.
        return Links(events[event], places, self.weights[items[event], column], len(sought.places))

    def sums(self, history: Indices) -> tuple[Indices, Floats]:
        """Return the items that neighbour any of a history's items [H], and the summed weight to each."""
        history = self._items(history)
        met, place = np.unique(self.indices[history].ravel(), return_inverse=True)
        sums = np.bincount(place, self.weights[history].ravel(), minlength=len(met))
        return met.astype(np.int64), sums.astype(np.float32)

    def _items(self, history: Indices) -> Indices:
        """Return the history without padding, which weighs nothing but would be looked up, and without live items."""
        return history[history < len(self.indices) - 1]

    def _shared(self, history: Indices, candidates: Indices) -> Floats | None:
        """Return the scores of rows with the same candidates, each event looked up only once; None if they differ."""
        padding_index, width = len(self.indices) - 1, candidates.shape[1] + 1
        known = np.where((candidates >= 0) & (candidates < padding_index), candidates, padding_index)
        first = np.flatnonzero(known[0] < padding_index)
        place_of = self._place_of(known[0][first], first + 1)
        places = place_of(known)
        if ((places == 0) & (known < padding_index)).any():
            return None
        items, item = np.unique(np.minimum(history, padding_index), return_inverse=True)
        met = place_of(self.indices[items]) + width * np.arange(len(items))[:, None]
        parts = np.bincount(met.ravel(), self.weights[items].ravel(), minlength=width * len(items)).reshape(-1, width)
        parts[:, 0] = 0.0
        own = item.reshape(history.shape) + len(items) * np.arange(len(history))[:, None]
        events = np.bincount(own.ravel(), minlength=len(items) * len(history)).reshape(-1, len(items))
        # Not matmul: the threads of BLAS cost more than they save on so little.
        sums = np.einsum("bi,ik->bk", events.astype(np.float64), parts)
        return np.take_along_axis(sums, places, axis=1).astype(np.float32)

    def _row(self, history: Indices, candidates: Indices) -> Floats:
        return self.links(history, Sought(candidates)).sums()

    def _place_of(self, items: Indices, places: Indices) -> Callable[[Items], Indices]:
        """Return what tells the places [K], counted from 1, of items [K]; 0 for any other."""
        if len(self.indices) > MOST_LISTED or not len(items):
            return _Sorted(items, places).of
        listed = np.zeros(len(self.indices), dtype=np.int64)
        listed[items] = places
        return listed.__getitem__


class _Sorted:
    """Looks places up by halving, where a list of all items would cost more than the looking."""

    def __init__(self, items: Indices, places: Indices) -> None:
        order = np.argsort(items)
        # The last stands for what is greater than all.
        self._items = np.append(items[order], np.iinfo(np.int64).max)
        self._places = np.append(places[order], 0)

    def of(self, items: Items) -> Indices:
        at = np.searchsorted(self._items, items)
        return np.where(self._items[at] == items, self._places[at], 0)
