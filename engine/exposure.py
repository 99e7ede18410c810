"""Exposure: places in the list for items that hardly anybody has met yet."""

from __future__ import annotations

import math
from dataclasses import dataclass

from engine.errors import QueryError


@dataclass(frozen=True, slots=True)
class Exposure:
    """How much of a list new items get; they are live items that were added less than `fresh_days` ago.

    share: the probability with which a place is given to one of them. boost: what an item just added gains, in standard
    deviations of the candidates' scores; half of it is left after `half_life_days`. Raises QueryError.
    """

    share: float = 0.0
    boost: float = 0.0
    half_life_days: float = 7.0
    fresh_days: float = 30.0

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise QueryError(f"share is {self.share}; it must be within 0..1")
        if not 0 <= self.boost < math.inf:
            raise QueryError(f"boost is {self.boost}; it must be a number from 0 on")
        for name, days in (("half_life_days", self.half_life_days), ("fresh_days", self.fresh_days)):
            if not 0 < days < math.inf:
                raise QueryError(f"{name} is {days}; it must be a number above 0")
