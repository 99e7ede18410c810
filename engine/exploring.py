"""Exploring: gives places of an answer to items by chance."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from engine.exposure import Exposure, chances_of
from engine.indexed_source import IndexedSource
from engine.items import ItemTable
from engine.picks import Pick, with_draws
from engine.source import Source
from engine.window import SECONDS_PER_DAY

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]


class Exploring:
    """Draws among fresh items, and among other candidates where the exposure says so, by the first source's scores."""

    def __init__(self, items: ItemTable, first: Source, random: np.random.Generator) -> None:
        self._items = items
        self._first = first
        self._random = random

    def explored(
        self,
        exposure: Exposure,
        picks: list[Pick],
        others: Indices,
        permitted: Callable[[Indices], Indices],
        user_vector: Floats | None,
        now: float,
    ) -> list[Pick]:
        """Return the picks with some places given away; `permitted` leaves those of the pool that may be answered.

        `others` are candidates that were not picked; user_vector [E] is None where nothing is known of the user.
        """
        places = exposure.explored(len(picks), self._random)
        if not places:
            return picks
        pool = self._items.fresh(now - exposure.fresh_days * SECONDS_PER_DAY)
        pool = permitted(np.union1d(pool, others) if exposure.is_wide else pool)
        weighed = exposure.sample(pool, self._random)
        chances = self._chances(weighed, user_vector)
        return with_draws(picks, weighed, exposure.draws(places, chances, self._random, len(pool)))

    def _chances(self, pool: Indices, user_vector: Floats | None) -> npt.NDArray[np.float64]:
        first = self._first
        if user_vector is None or not isinstance(first, IndexedSource):
            return chances_of(np.zeros(len(pool)), np.zeros(len(pool), dtype=bool))
        return chances_of(first.scores(user_vector[None], pool[None])[0], first.knows(pool))


def not_picked(indices: Indices, picks: Sequence[Pick]) -> Indices:
    """Return the candidates [K] that are real and stand in no pick."""
    real = indices[indices >= 0]
    return real[~np.isin(real, [pick.item_index for pick in picks])]
