"""Events that the client sends. Each has its id as soon as it is made, and counts once however often it is sent."""

from __future__ import annotations

import uuid
from dataclasses import asdict, dataclass, field
from typing import Any


def new_event_id() -> str:
    """Return an id that nobody else has."""
    return uuid.uuid4().hex


@dataclass(frozen=True, slots=True)
class Rating:
    """One user's rating of one item."""

    user_id: str
    item_id: str
    rating: float
    """Within the scale of the data that the model was trained on."""
    timestamp: float | None = None
    """Unix seconds; None is when it arrives."""
    recommendation_id: str | None = None
    """The answer that led to it."""
    event_id: str = field(default_factory=new_event_id)


@dataclass(frozen=True, slots=True)
class Feedback:
    """Something else that a user did with an item."""

    user_id: str
    item_id: str
    kind: str
    """view, click, like, purchase, skip, dislike, or what else the service is set to know."""
    timestamp: float | None = None
    """Unix seconds; None is when it arrives."""
    recommendation_id: str | None = None
    """The answer that led to it."""
    event_id: str = field(default_factory=new_event_id)


@dataclass(frozen=True, slots=True)
class Met:
    """An item that somebody met in this session: with a rating or, if there is none, a kind of feedback."""

    item_id: str
    rating: float | None = None
    kind: str | None = None
    """"view" if there is no rating either."""
    timestamp: float | None = None
    """Unix seconds; None is after what stands before it."""

    def __post_init__(self) -> None:
        if self.rating is None and self.kind is None:
            object.__setattr__(self, "kind", "view")


def body_of(event: Rating | Feedback | Met) -> dict[str, Any]:
    """Return the JSON object of an event, without what is not given."""
    return {name: value for name, value in asdict(event).items() if value is not None}
