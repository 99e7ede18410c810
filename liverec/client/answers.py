"""Answers: what the calls return."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Because:
    """An item of the history that speaks for a recommended one."""

    item_id: str
    weight: float
    """Its share, 0..1, of what all such items of the history add to the score."""
    drop: float | None = None
    """By how much the score falls without it; None unless explain="counterfactual" asked for it."""


@dataclass(frozen=True, slots=True)
class AnswerItem:
    """One recommended item."""

    item_id: str
    rank: int
    """From 1."""
    score: float
    """Higher is better; comparable within one answer only."""
    predicted_rating: float | None = None
    """In the units of the data; None where the data has no ratings."""
    reason: tuple[str, ...] = ()
    """The sources that proposed the item."""
    because: tuple[Because, ...] | None = None
    """The strongest first; None unless they were asked for."""
    propensity: float | None = None
    """The probability of the item at this place if chance put it there; None for all others."""
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """A list of items, best first."""

    recommendation_id: str
    source: str
    """The stage that gave the answer."""
    items: tuple[AnswerItem, ...]
    user_id: str | None = None
    """None where the list is nobody's in particular."""
    model_version: str = ""
    history_version: int | None = None
    """How often the user's history has changed; None if there is none, or the store could not be read."""
    degraded: str | None = None
    """Why the answer is not what it should be; None when all is well."""
    cursor: str | None = None
    """Give this to get what comes next; None at the end."""
    unknown_items: tuple[str, ...] = ()
    """Of a ranking: the given items that the service does not know."""
    took_ms: float = 0.0

    @property
    def item_ids(self) -> list[str]:
        """The ids of the items, best first."""
        return [item.item_id for item in self.items]


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers of a batch, in the order of its queries."""

    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True)
class Receipt:
    """The events are on disk, and count in the very next answer."""

    accepted: int
    """Events that are new."""
    duplicates: int
    """Events whose event_id was known already."""
    versions: dict[str, int]
    """The history_version of each user after these events."""
    unknown_items: tuple[str, ...] = ()
    """Items that the model does not know."""
    removed: int = 0
    """Of an undo: 1 if there was an opinion to take away."""


@dataclass(frozen=True, slots=True)
class BulkError:
    """An event of an upload that was not taken."""

    line: int
    """From 1; of a Parquet file, the row."""
    detail: str


@dataclass(frozen=True, slots=True)
class BulkReport:
    """What became of an upload: all that it counts is on disk."""

    line: int = 0
    """How many lines, or rows, were read."""
    accepted: int = 0
    """Events that are new."""
    duplicates: int = 0
    """Events whose event_id was known already."""
    refused: int = 0
    """Lines that were wrong, and skipped."""
    unknown_items: int = 0
    """New events of items that the model does not know."""
    errors: tuple[BulkError, ...] = ()
    """The first of the lines that were wrong."""

    def followed_by(self, other: BulkReport) -> BulkReport:
        """Return what became of two uploads of which the other one came after this one."""
        errors = tuple(BulkError(self.line + each.line, each.detail) for each in other.errors)
        return BulkReport(
            self.line + other.line,
            self.accepted + other.accepted,
            self.duplicates + other.duplicates,
            self.refused + other.refused,
            self.unknown_items + other.unknown_items,
            self.errors + errors,
        )


@dataclass(frozen=True, slots=True)
class PredictedRating:
    """How the user would rate an item."""

    item_id: str
    predicted_rating: float
    known: bool
    """Whether the model knows the item."""


@dataclass(frozen=True, slots=True)
class Predictions:
    """Predicted ratings, in the order of the question."""

    user_id: str
    items: tuple[PredictedRating, ...]
    model_version: str = ""
    history_version: int | None = None
    degraded: str | None = None


@dataclass(frozen=True, slots=True)
class HistoryEvent:
    """One thing that a user did."""

    item_id: str
    kind: str
    timestamp: float
    """Unix seconds."""
    rating: float | None = None
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class History:
    """A page of a user's history, newest first."""

    user_id: str
    events: tuple[HistoryEvent, ...]
    history_version: int | None = None
    cursor: str | None = None
    degraded: str | None = None


@dataclass(frozen=True, slots=True)
class Forgetting:
    """What was removed of a user."""

    user_id: str
    events: int = 0
    """Of the history."""
    seen_items: int = 0
    log_entries: int = 0
    event_ids: int = 0
    cached_answers: int = 0
    exposures: int = 0
    history_version: int | None = None
    """From here the version goes on, should the user come back."""
    out_of_reach: dict[str, str] = field(default_factory=dict)
    """Where else there may be traces, and what to do about them."""


@dataclass(frozen=True, slots=True)
class StoredItem:
    """An item as it was accepted."""

    item_id: str
    ranked_by: str
    """content, trained or popularity."""
    version: int


@dataclass(frozen=True, slots=True)
class ItemReceipt:
    """The items are on disk, and in answers from now on."""

    accepted: int
    items: tuple[StoredItem, ...]
    note: str | None = None
    model_version: str = ""


@dataclass(frozen=True, slots=True)
class Deletion:
    """The item is gone from all answers."""

    item_id: str
    version: int
    model_version: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """An item with what is known of it."""

    item_id: str
    metadata: dict[str, Any]
    is_hidden: bool = False
    added_at: float | None = None
    """Unix seconds; None for an item that was trained."""
    is_live: bool = False
    """Whether it came after training."""
    ranked_by: str = ""
    version: int | None = None
    degraded: str | None = None


@dataclass(frozen=True, slots=True)
class ItemPage:
    """Some of the items."""

    items: tuple[Item, ...]
    cursor: str | None = None
    degraded: str | None = None


@dataclass(frozen=True, slots=True)
class SimilarItem:
    """One item that is like another."""

    item_id: str
    rank: int
    score: float
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SimilarItems:
    """Items that are like one item, best first."""

    item_id: str
    space: str
    """How likeness was measured."""
    items: tuple[SimilarItem, ...]
    degraded: str | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """What the service says of itself."""

    status: str
    model_version: str = ""
    item_lag: int = 0
    """Changes of items that the worker has not seen yet."""
    bundle: str = ""
    """"current", or that a newer bundle was refused."""
