"""Options of calls, as keyword arguments: only those that are given are sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Required, TypedDict


class ListOptions(TypedDict, total=False):
    """What every list can be told."""

    n: int
    """1..500 items."""
    categories: Sequence[str]
    """Only items of these."""
    match: Literal["any", "all"]
    """Whether an item needs one of the categories, or all."""
    filter: str | None
    """A condition on metadata: `year >= 1990 and not categories = "Horror"`."""
    include: Sequence[str]
    """The metadata fields that answers have; all if not given."""


class TrendOptions(ListOptions, total=False):
    """What the list of trending items can be told."""

    window: Literal["hour", "day", "week"]


class Options(ListOptions, total=False):
    """What a recommendation can be told."""

    cursor: str | None
    """What the page before gave; it belongs to the same user and the same options."""
    exclude: Sequence[str]
    """Ids of items that must not come."""
    exclude_seen: bool
    """Whether items that the user met stay out; they do if not given."""
    boost: Sequence[str]
    """`0.5 if year >= 1990`: the number, -10..10, is in standard deviations of the candidates' scores."""
    model: str | None
    """The stage or source that answers alone, such as "popular" or "sasrec"."""
    diversity: float
    """0..1."""
    exploration: float | None
    """0..1: the share of places that chance fills."""
    explain: Literal["none", "estimated", "counterfactual"]
    """Whether, and how, `because` of each item is filled."""
    min_version: int | None
    """The version of the history that the answer must at least know, as receipts give it."""


class TimedOptions(Options, total=False):
    """The same, with the time that the answer may take."""

    deadline_ms: float | None
    """Milliseconds; an answer that cannot be had by then is a simpler one, and says so in `degraded`."""


class BatchQuery(Options, total=False):
    """One query of several."""

    user_id: Required[str]


class RankOptions(TypedDict, total=False):
    """What the ranking of given items can be told."""

    boost: Sequence[str]
    diversity: float
    explain: Literal["none", "estimated", "counterfactual"]
    include: Sequence[str]
    deadline_ms: float | None


class ItemFields(TypedDict, total=False):
    """What is known of an item."""

    title: str | None
    description: str | None
    categories: Sequence[str] | None
    tags: Sequence[str] | None
    year: int | None
    price: float | None
    is_hidden: bool | None
    """A hidden item is in no answer."""
    image: bytes | None
    """The file itself: JPEG, PNG, WebP or GIF."""
    audio: bytes | None
    """The file itself."""
    metadata: Mapping[str, Any] | None
    """Up to 64 further fields: texts, numbers, truths, lists of texts."""


class NewItem(ItemFields, total=False):
    """An item with its id."""

    item_id: Required[str]
