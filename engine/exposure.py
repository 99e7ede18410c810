"""Exposure: what new items get of a list beyond what their scores give them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from engine.errors import QueryError

Floats = npt.NDArray[np.floating]
Indices = npt.NDArray[np.int64]


class Draw(NamedTuple):
    """Which item of the pool stands at a place, and how probable that was."""

    position: int
    propensity: float


@dataclass(frozen=True, slots=True)
class Exposure:
    """Fresh items are live ones that were added less than `fresh_days` ago.

    share: the probability with which a place is given to one of them. boost: what an item just added gains, in standard
    deviations of the candidates' scores; after `half_life_days` it is half of that. weighed: so many items at most have
    their chances computed for one answer. is_wide: candidates that would not be answered are explored too, not only
    fresh items. Raises QueryError.
    """

    share: float = 0.0
    boost: float = 0.0
    half_life_days: float = 7.0
    fresh_days: float = 30.0
    weighed: int = 1_000
    is_wide: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise QueryError(f"share is {self.share}; it must be within 0..1")
        if not 0 <= self.boost < math.inf:
            raise QueryError(f"boost is {self.boost}; it must be a number from 0 on")
        for name, days in (("half_life_days", self.half_life_days), ("fresh_days", self.fresh_days)):
            if not 0 < days < math.inf:
                raise QueryError(f"{name} is {days}; it must be a number above 0")
        if self.weighed < 1:
            raise QueryError(f"weighed is {self.weighed}; it must be 1 or more")

    def lifts(self, ages: Floats) -> npt.NDArray[np.float32]:
        """Return what novelty adds, in standard deviations; ages in days, infinite where nothing is added."""
        lifts: npt.NDArray[np.float32] = (self.boost * 0.5 ** (ages / self.half_life_days)).astype(np.float32)
        return lifts

    def explored(self, places: int, random: np.random.Generator) -> list[int]:
        """Return which places, from 0, are to be given away: each on its own with the probability `share`."""
        found: list[int] = np.flatnonzero(random.random(places) < self.share).tolist()
        return found

    def sample(self, pool: Indices, random: np.random.Generator) -> Indices:
        """Return the pool, or `weighed` of its items, each subset as probable as any other."""
        return pool if len(pool) <= self.weighed else random.choice(pool, self.weighed, replace=False, shuffle=False)

    def draws(self, places: list[int], chances: Floats, random: np.random.Generator, of: int) -> dict[int, Draw]:
        """Draw an item for each of the places by its chance [K]; one that stands further up already leaves it empty.

        The K items are a uniform sample `of` the M in the pool, the same for all places of an answer. Given the sample,
        all draws are independent: an item with the chance c among the K is drawn at any place with q = share * c, and
        stands at the place k from 0 with q (1 - q)^k, whatever the others do. Its propensity is K/M times that, K/M
        being the probability that it is in the sample. Up to `weighed` items K is M, and it is the probability with
        nothing left out. Above, c differs with the sample, and so does the propensity; its mean over the samples, 0
        where the item is in none, is the probability, and weighing what was shown by its inverse has no bias.
        """
        if not len(chances):
            return {}
        found, positions = dict[int, Draw](), set[int]()
        for place, position in zip(places, random.choice(len(chances), len(places), p=chances).tolist(), strict=True):
            if position not in positions:
                probability = self.share * float(chances[position])
                found[place] = Draw(position, len(chances) / of * probability * (1 - probability) ** place)
                positions.add(position)
        return found


def chances_of(scores: Floats, known: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Return probabilities [P]: the softmax of scores [P]; an item without a score is as probable as the average."""
    weights = np.ones(len(scores), dtype=np.float64)
    if known.any():
        weights[known] = np.exp(scores[known].astype(np.float64) - scores[known].max())
        weights[~known] = weights[known].mean()
    chances: npt.NDArray[np.float64] = weights / weights.sum()
    return chances
