"""Answer: the one shape of every list of recommendations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic_core import to_json

from engine.items import ItemTable
from engine.recommendation import Recommendation


class AnswerItem(BaseModel):
    """One recommended item."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    item_id: str
    rank: int
    """From 1."""
    score: float
    """Higher is better; comparable within one answer only."""
    predicted_rating: float | None
    """In the units of the data; null where the data has no ratings."""
    reason: list[str]
    """The sources that proposed the item."""
    propensity: float | None
    """The probability of the item at this place if chance put it there; null for all others."""
    metadata: dict[str, Any]


class Answer(BaseModel):
    """A list of recommendations, best first."""

    model_config = ConfigDict(
        use_attribute_docstrings=True,
        json_schema_extra={
            "examples": [
                {
                    "user_id": "42",
                    "recommendation_id": "0d5c3f0b2b0f4b0c9a3b8f6f2a1f7f11",
                    "model_version": "1f0a9c3b7d2e",
                    "history_version": 17,
                    "source": "rerank",
                    "degraded": None,
                    "took_ms": 2.1,
                    "items": [
                        {
                            "item_id": "50",
                            "rank": 1,
                            "score": 8.93,
                            "predicted_rating": 4.4,
                            "reason": ["sasrec"],
                            "propensity": None,
                            "metadata": {"title": "Star Wars (1977)"},
                        }
                    ],
                }
            ]
        },
    )

    user_id: str
    recommendation_id: str
    model_version: str
    history_version: int | None
    """How often the user's history has changed; null if the store could not be read."""
    source: str
    """The stage that gave the answer: rerank, retrieval or popular."""
    degraded: str | None
    """Why the answer is not what it should be; null when all is well."""
    items: list[AnswerItem]
    took_ms: float


def encode_answer(
    user_id: str,
    recommendation_id: str,
    recommendation: Recommendation,
    items: ItemTable,
    model_version: str,
    history_version: int | None,
    degraded: str | None = None,
) -> bytes:
    """Return the JSON of an answer, without `took_ms`, which `timed` adds to what is computed and what is cached."""
    content: Mapping[str, object] = {
        "user_id": user_id,
        "recommendation_id": recommendation_id,
        "model_version": model_version,
        "history_version": history_version,
        "source": recommendation.source,
        "degraded": degraded,
        "items": [
            {
                "item_id": item.item_id,
                "rank": rank,
                "score": round(item.score, 5),
                "predicted_rating": None if item.predicted_rating is None else round(item.predicted_rating, 2),
                "reason": list(item.reason),
                "propensity": item.propensity,
                "metadata": items.metadata_of(items.vocabulary.index_of(item.item_id)),
            }
            for rank, item in enumerate(recommendation.items, start=1)
        ],
    }
    return to_json(content)


def timed(encoded: bytes, seconds: float) -> bytes:
    """Return the answer with `took_ms` as its last member."""
    return encoded[:-1] + b',"took_ms":%.2f}' % (seconds * 1000)
