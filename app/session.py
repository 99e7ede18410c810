"""Session: a history that comes with the request, of which nothing is written."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.options import RecommendOptions, Steer
from app.rating import ExternalId, event_time
from engine.errors import QueryError
from engine.events import RATING, Event
from engine.query import MAX_ITEMS
from engine.window import HistoryWindow

MAX_EVENTS = 1_000
MAX_QUERIES = 100
MAX_EXPLAINED = 10
MAX_WANTED = 5_000


class SessionEvent(BaseModel):
    """What somebody did with an item: a rating, or anything else of some kind."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    item_id: ExternalId
    """The item; the model need not know it."""
    rating: Annotated[float, Field(allow_inf_nan=False, strict=True)] | None = None
    """Within the scale of the data that the model was trained on."""
    kind: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    """What was done, such as view or dislike, if it was no rating."""
    timestamp: Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)] | None = None
    """Unix seconds; if not given, after what stands before it in the list."""

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        if (self.rating is None) == (self.kind is None):
            raise ValueError("give either a rating or a kind")
        return self

    def event(self, user_id: str, window: HistoryWindow, timestamp: float) -> Event:
        """Return the event; raises QueryError for a rating or a kind that the service does not know."""
        low, high = window.rating_scale
        if self.rating is not None and not low <= self.rating <= high:
            raise QueryError(f"history: rating {self.rating:g} of {self.item_id!r} is outside {low:g}..{high:g}")
        if self.kind is not None and self.kind not in window.event_weights:
            known = ", ".join(sorted(window.event_weights))
            raise QueryError(f"history: kind {self.kind!r} is unknown; known: {known}")
        return Event(user_id, self.item_id, self.kind or RATING, self.rating, timestamp)


class SessionRequest(RecommendOptions):
    """A history, and what is asked for it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"history": [{"item_id": "50", "rating": 5}, {"item_id": "172", "kind": "view"}], "n": 5},
                {"user_id": "42", "history": [{"item_id": "50", "kind": "dislike"}], "explain": "counterfactual"},
            ]
        }
    )

    history: Annotated[list[SessionEvent], Field(max_length=MAX_EVENTS)]
    """What the visitor did, oldest first; may be empty."""
    user_id: ExternalId | None = None
    """Put the history after that of this user: what would be answered if these events came."""

    @model_validator(mode="after")
    def _check_owner(self) -> Self:
        if self.min_version is not None and self.user_id is None:
            raise ValueError("min_version: it is of a user's history; give user_id too")
        return self

    def events(self, window: HistoryWindow, latest: float) -> list[Event]:
        """Return the events in their order; raises QueryError for one that cannot be, or is after `latest`."""
        events = list[Event]()
        for given in self.history:
            events.append(given.event(self.user_id or "", window, event_time(given.timestamp, latest)))
        return events


class UserRequest(RecommendOptions):
    """One of the lists of a batch."""

    user_id: ExternalId
    """Any user, known or not."""


class BatchRequest(BaseModel):
    """Several lists at once."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        json_schema_extra={"examples": [{"queries": [{"user_id": "42", "n": 5}, {"user_id": "7"}]}]},
    )

    queries: Annotated[list[UserRequest], Field(min_length=1, max_length=MAX_QUERIES)]
    """Each with its own options; at most 10 of them explained, and 5,000 items in all."""

    @model_validator(mode="after")
    def _check_cost(self) -> Self:
        # To explain takes many times as long as a list, and a list takes the longer the more it has.
        explained, wanted = sum(each.explain != "none" for each in self.queries), sum(each.n for each in self.queries)
        if explained > MAX_EXPLAINED:
            raise ValueError(f"queries: {explained} ask for explanations; at most {MAX_EXPLAINED} may, at once")
        if wanted > MAX_WANTED:
            raise ValueError(f"queries: {wanted} items are asked for; at most {MAX_WANTED} may be, at once")
        return self


class RankRequest(Steer):
    """Items, and the user for whom they are put in order."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"user_id": "42", "items": ["50", "172", "1"]}]})

    user_id: ExternalId
    """Any user, known or not."""
    items: Annotated[list[ExternalId], Field(min_length=1, max_length=MAX_ITEMS)]
    """The ids of the items; seen ones are ranked too."""

    def options(self, n: int) -> RecommendOptions:
        """Return the options of a recommendation that orders n items."""
        steer = {name: getattr(self, name) for name in Steer.model_fields}
        return RecommendOptions(**steer, n=n, exclude_seen=False)
