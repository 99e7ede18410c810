"""Answer: the one shape of every list of recommendations."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic_core import to_json

from engine.explanation import Cause
from engine.items import ItemTable
from engine.recommendation import Recommendation

STORE_UNREACHABLE, STORE_READ_ONLY, DEADLINE = "store_unreachable", "store_read_only", "deadline"
"""Why an answer is degraded."""


class AnswerCause(BaseModel):
    """An item of the history that speaks for a recommended one."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    item_id: str
    weight: float
    """Its share, 0..1, of what all such items of the history add to the score; estimated, or measured with `drop`."""
    drop: float | None
    """By how much the score falls without it; null unless `explain=counterfactual` asked for it."""


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
    because: list[AnswerCause] | None
    """Which items of the history speak for it, the strongest first; null where nobody asked."""
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
                    "cursor": "AWdJ…",
                    "took_ms": 2.1,
                    "items": [
                        {
                            "item_id": "50",
                            "rank": 1,
                            "score": 8.93,
                            "predicted_rating": 4.4,
                            "reason": ["sasrec"],
                            "because": [{"item_id": "172", "weight": 0.41, "drop": None}],
                            "propensity": None,
                            "metadata": {"title": "Star Wars (1977)"},
                        }
                    ],
                }
            ]
        },
    )

    user_id: str | None
    """Null where the answer is the same for everybody."""
    recommendation_id: str
    model_version: str
    history_version: int | None
    """How often the user's history has changed; null if the store could not be read, or nobody is asked for."""
    source: str
    """The stage that gave the answer: rerank, retrieval, cached, popular, trending or latest."""
    degraded: str | None
    """Why the answer is not what it should be (store_unreachable, store_read_only, deadline); null when all is well."""
    cursor: str | None
    """Give it with the same options to get the next page; null where there is none."""
    items: list[AnswerItem]
    took_ms: float


class RankAnswer(Answer):
    """Given items in a user's order."""

    unknown_items: list[str]
    """Items that nobody knows, or that are deleted or hidden; they are not in the list."""


class BatchAnswer(BaseModel):
    """Several answers, in the order of the question."""

    answers: list[Answer]
    took_ms: float


@dataclass(frozen=True, slots=True)
class AnswerHead:
    """What an answer says of itself; see Answer."""

    user_id: str | None
    model_version: str
    history_version: int | None = None
    degraded: str | None = None
    cursor: str | None = None
    recommendation_id: str = field(default_factory=lambda: uuid.uuid4().hex)


def encode_answer(
    head: AnswerHead, recommendation: Recommendation, items: ItemTable, include: Collection[str] | None = None
) -> bytes:
    """Return the JSON of an answer, without `took_ms`, which `timed` adds to what is computed and what is cached.

    include: the fields of metadata to show, all if None.
    """
    content: Mapping[str, object] = {
        "user_id": head.user_id,
        "recommendation_id": head.recommendation_id,
        "model_version": head.model_version,
        "history_version": head.history_version,
        "source": recommendation.source,
        "degraded": head.degraded,
        "cursor": head.cursor,
        "items": [
            {
                "item_id": item.item_id,
                "rank": rank,
                "score": round(item.score, 5),
                "predicted_rating": None if item.predicted_rating is None else round(item.predicted_rating, 2),
                "reason": list(item.reason),
                "because": None if item.because is None else [_cause(cause) for cause in item.because],
                "propensity": item.propensity,
                "metadata": _shown(items.metadata_of(items.vocabulary.index_of(item.item_id)), include),
            }
            for rank, item in enumerate(recommendation.items, start=1)
        ],
    }
    return to_json(content)


def _cause(cause: Cause) -> dict[str, object]:
    drop = None if cause.drop is None else round(cause.drop, 5)
    return {"item_id": cause.item_id, "weight": round(cause.weight, 5), "drop": drop}


def _shown(metadata: dict[str, Any], include: Collection[str] | None) -> dict[str, Any]:
    return metadata if include is None else {name: value for name, value in metadata.items() if name in include}


def timed(encoded: bytes, seconds: float) -> bytes:
    """Return the answer with `took_ms` as its last member."""
    return encoded[:-1] + b',"took_ms":%.2f}' % (seconds * 1000)


def with_member(encoded: bytes, name: str, value: object) -> bytes:
    """Return the JSON object with one more member."""
    return encoded[:-1] + b"," + to_json(name) + b":" + to_json(value) + b"}"
