"""Steering: what changes the order of candidates beyond what the networks say of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from engine.diversity import diverse_places
from engine.items import ItemTable
from engine.likeness import Likeness
from engine.query import Query
from engine.window import HistoryWindow

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
DISLIKE = 2.0
"""What an item loses that is just like a disliked one, in standard deviations of the candidates' scores."""
POOL, POOL_FACTOR = 200, 4
NONE = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)


class Steering:
    """New items, boosts and dislikes change the scores; diversity chooses by them. `clock` gives unix seconds."""

    def __init__(self, items: ItemTable, window: HistoryWindow, likeness: Likeness, clock: Callable[[], float]) -> None:
        self._items = items
        self._window = window
        self._likeness = likeness
        self._clock = clock

    def is_wanted(self, query: Query) -> bool:
        """Return whether a query asks for anything beyond the best scores, novelty apart."""
        return bool(query.lifts or query.diversity or len(self._dislikes(query)[0]))

    def scores(self, query: Query, indices: Indices, scores: Floats, of: int) -> Floats:
        """Return the scores [K] of the candidates [K] as the query wants them; -inf where there is no candidate.

        The first `of` candidates tell the standard deviation that all is measured in: the others are there for the sake
        of a longer list, and must not change the beginning of it.
        """
        real = indices >= 0
        scores = np.where(real, scores, -np.inf).astype(np.float32)
        (disliked, strength), exposure = self._dislikes(query), query.exposure
        if not (query.lifts or len(disliked) or (exposure is not None and exposure.boost)):
            return scores
        step = float(scores[:of][real[:of]].std()) if real[:of].any() else 0.0
        if exposure is not None and exposure.boost:
            scores += np.float32(step) * exposure.lifts(self._items.ages(indices, self._clock()))
        for lift in query.lifts:
            scores += np.float32(step * lift.weight) * lift.selection.contains(indices)
        if len(disliked):
            scores -= np.float32(step * DISLIKE) * self._likeness_to(disliked, strength, indices)
        return scores

    def order(self, query: Query, indices: Indices, scores: Floats) -> Indices:
        """Return the places of up to n candidates in the order in which they are to be answered."""
        order = np.argsort(-scores, kind="stable")
        order = order[indices[order] >= 0]
        if not query.diversity or not len(order):
            return order[: query.n]
        pool = order[: max(POOL, POOL_FACTOR * query.n)]
        return pool[diverse_places(self._likeness.units_of(indices[pool]), query.n, query.diversity)]

    def _dislikes(self, query: Query) -> tuple[Indices, Floats]:
        if not self._likeness.has_vectors:
            return NONE
        return self._window.dislikes(query.history, self._items)

    def _likeness_to(self, disliked: Indices, strength: Floats, indices: Indices) -> Floats:
        """Return for each candidate how much it is like the disliked item that it is most like, 0..1."""
        likeness = self._likeness.units_of(np.maximum(indices, 0)) @ self._likeness.units_of(disliked).T
        return np.asarray((likeness * strength).max(axis=1).clip(min=0.0), dtype=np.float32)
