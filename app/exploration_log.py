"""ExploredPlace: what chance put into an answer, logged so that other policies can be judged by what came of it."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass

from engine.recommendation import Recommendation

EXPOSURES_KEY = "liverec:exposures"
EXPOSURES_KEPT = 500_000
"""About 100 MB; whoever evaluates drains the stream before."""


@dataclass(frozen=True, slots=True)
class ExploredPlace:
    """One explored place of one answer; an answer that is given again from the cache is logged once."""

    recommendation_id: str
    user_id: str
    item_id: str
    rank: int
    propensity: float
    timestamp: float
    model_version: str

    def fields(self) -> list[str | bytes | int | float]:
        """Return names and values in turn, as a stream takes them."""
        return [part for pair in asdict(self).items() for part in pair]


def explored_places(
    user_id: str, recommendation_id: str, recommendation: Recommendation, model_version: str
) -> tuple[ExploredPlace, ...]:
    """Return the places of an answer that exploration filled."""
    now = time.time()
    return tuple(
        ExploredPlace(recommendation_id, user_id, item.item_id, rank, item.propensity, now, model_version)
        for rank, item in enumerate(recommendation.items, start=1)
        if item.propensity is not None
    )
