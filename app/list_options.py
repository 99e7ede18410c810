"""ListOptions: what can be asked of a list that is the same for all users."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.options import MAX_FILTER_CHARACTERS, MAX_VALUES, Name
from app.trends import TrendWindow
from engine.query import MAX_ITEMS


class ListOptions(BaseModel):
    """Which items of the list are wanted, and what of them."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    n: Annotated[int, Field(ge=1, le=MAX_ITEMS, examples=[10])] = 10
    """How many items."""
    categories: Annotated[list[Name], Field(max_length=MAX_VALUES, examples=[["Drama"]])] = []
    """Only items of these categories; give it once for each."""
    match: Annotated[Literal["any", "all"], Field(examples=["any"])] = "any"
    """Whether one of the categories is enough."""
    filter: Annotated[str, Field(max_length=MAX_FILTER_CHARACTERS, examples=["year >= 1990"])] | None = None
    """Only items whose metadata fit, such as `year >= 1990 and not categories = "Horror"`."""
    include: Annotated[list[Name], Field(max_length=MAX_VALUES, examples=[["title"]])] | None = None
    """The fields of metadata to show, once for each; all if not given."""


class TrendingOptions(ListOptions):
    """The same, and of what time."""

    window: Annotated[TrendWindow, Field(examples=["day"])] = "day"
    """After what time an event counts half."""
