"""Recommendation: an answer of the engine."""

from __future__ import annotations

from dataclasses import dataclass

from engine.explanation import Cause


@dataclass(frozen=True, slots=True)
class RecommendedItem:
    """One row of an answer; `reason` names the sources that proposed the item.

    propensity: the probability with which exploration put this item at this place (where more items are new than it
    weighs, see Exposure.draws), None where it was not exploration. because: the items of the history that speak for
    it, None where nobody asked.
    """

    item_id: str
    score: float
    predicted_rating: float | None
    reason: tuple[str, ...]
    propensity: float | None = None
    because: tuple[Cause, ...] | None = None


@dataclass(frozen=True, slots=True)
class Recommendation:
    """An answer, best item first; `source` is the last stage that shaped it: "rerank", "retrieval" or "popular"."""

    items: tuple[RecommendedItem, ...]
    source: str
