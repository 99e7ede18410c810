"""Prediction: what POST /predict takes and gives."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from app.rating import ExternalId

MAX_PREDICTIONS = 1_000


class PredictionRequest(BaseModel):
    """A user, and the items whose ratings are asked for."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        json_schema_extra={"examples": [{"user_id": "42", "items": ["50", "172"]}]},
    )

    user_id: ExternalId
    """Any user, known or not."""
    items: Annotated[list[ExternalId], Field(min_length=1, max_length=MAX_PREDICTIONS)]
    """The ids of the items."""


class PredictedItem(BaseModel):
    """How the user would rate an item."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    item_id: str
    predicted_rating: float
    """In the units of the data, within its scale."""
    known: bool
    """Whether the model knows the item; for one that it does not know, the rating is what the user gives on average."""


class PredictionAnswer(BaseModel):
    """Predicted ratings, in the order of the question."""

    model_config = ConfigDict(
        use_attribute_docstrings=True,
        json_schema_extra={
            "examples": [
                {
                    "user_id": "42",
                    "model_version": "1f0a9c3b7d2e",
                    "history_version": 184,
                    "degraded": None,
                    "items": [{"item_id": "50", "predicted_rating": 4.4, "known": True}],
                }
            ]
        },
    )

    user_id: str
    model_version: str
    history_version: int | None
    """How often the user's history has changed; null if the store could not be read."""
    degraded: str | None
    """Why the history was left out of account; null when all is well."""
    items: list[PredictedItem]
