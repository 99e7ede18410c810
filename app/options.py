"""Options: how one recommendation is to be made."""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Annotated, Any, Literal

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from app.rating import ExternalId
from engine.exposure import Exposure
from engine.query import MAX_ITEMS

MAX_EXCLUDED = 1_000
MAX_VALUES = 50
MAX_BOOSTS = 10
MAX_FILTER_CHARACTERS = 2_000
MAX_CURSOR_CHARACTERS = 8_000
LISTS = {"boost", "include", "categories", "exclude"}
NOT_OF_THE_LIST = {"n", "cursor", "explain", "include", "min_version", "history"}


def spell_explain(value: object) -> object:
    """Return the name of a truth, for the sake of `explain=true`; everything else as it is."""
    names = {True: "estimated", False: "none", "true": "estimated", "false": "none", "1": "estimated", "0": "none"}
    return names.get(value, value) if isinstance(value, (bool, str)) else value


Name = Annotated[str, Field(min_length=1, max_length=256)]
Explain = Annotated[Literal["none", "estimated", "counterfactual"], BeforeValidator(spell_explain)]


class Steer(BaseModel):
    """What can be asked of any list that is computed for a user."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    boost: Annotated[
        list[Annotated[str, Field(max_length=MAX_FILTER_CHARACTERS)]],
        Field(max_length=MAX_BOOSTS, examples=[["0.5 if year >= 1990"]]),
    ] = []
    """Rules such as `0.5 if year >= 1990`; the number is in standard deviations of the candidates' scores."""
    diversity: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 0.0
    """How much the items of the list shall differ from each other, at a price in their scores."""
    explain: Explain = "none"
    """Whether each item says which items of the history speak for it: by an estimate of how far its score would fall
    without them, or by measuring that (slow)."""
    include: Annotated[list[Name], Field(max_length=MAX_VALUES)] | None = None
    """The fields of metadata to show; all if not given, none if empty."""


class RecommendOptions(Steer):
    """How a recommendation is to be made."""

    n: Annotated[int, Field(ge=1, le=MAX_ITEMS)] = 10
    """How many items."""
    cursor: Annotated[str, Field(max_length=MAX_CURSOR_CHARACTERS)] | None = None
    """What the page before gave; no item of the pages before comes again, whatever the user rates meanwhile."""
    categories: Annotated[list[Name], Field(max_length=MAX_VALUES)] = []
    """Only items of these categories."""
    match: Literal["any", "all"] = "any"
    """Whether one of the categories is enough."""
    exclude: Annotated[list[ExternalId], Field(max_length=MAX_EXCLUDED)] = []
    """Items that are not wanted."""
    exclude_seen: bool = True
    """Whether items of the history are left out."""
    filter: Annotated[str, Field(max_length=MAX_FILTER_CHARACTERS)] | None = Field(
        default=None, examples=['year >= 1990 and not categories = "Horror"']
    )
    """Only items whose metadata fit, such as `year >= 1990 and not categories = "Horror"`."""
    model: Name | None = None
    """The one source to ask, or "popular"; all stages if not given."""
    exploration: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    """The probability with which each place is given to an item by chance; if not given, what the settings say."""
    min_version: Annotated[int, Field(ge=0, le=2**53)] | None = None
    """Answer only from a history that has changed so often; take it from the receipt of a rating."""

    @property
    def is_plain(self) -> bool:
        """Whether nothing was asked for that changes the list, but for n."""
        return self.model_fields_set <= {"n", "user_id", "min_version"}

    def exposure(self, default: Exposure | None) -> Exposure | None:
        """Return what new items and chance get, which the settings say by default."""
        if self.exploration is None:
            return default
        others = default or Exposure()
        days = others.half_life_days, others.fresh_days
        return Exposure(self.exploration, others.boost, *days, is_wide=True)

    @cached_property
    def key(self) -> str:
        """A short text that differs for what gives different answers; it names a cached one."""
        if self.is_plain:
            return str(self.n)
        return hashlib.blake2b(self._spelled({"min_version", "user_id"}), digest_size=16).hexdigest()

    def digest(self, user_id: str) -> bytes:
        """Return 8 bytes that differ for what gives different lists; a cursor belongs to one of them."""
        spelled = b"{}" if self.is_plain else self._spelled(NOT_OF_THE_LIST | {"user_id"})
        return hashlib.blake2b(user_id.encode() + b"\0" + spelled, digest_size=8).digest()

    def _spelled(self, without: set[str]) -> bytes:
        return self.model_dump_json(exclude=without, exclude_defaults=True).encode()


PLAIN = RecommendOptions()


def read_options(request: Request) -> RecommendOptions:
    """Return the options in a request's query; raises RequestValidationError naming the parameter that is wrong."""
    if not request.scope["query_string"]:
        return PLAIN
    given = request.query_params
    fields = {name: given.getlist(name) if name in LISTS else given[name] for name in given}
    try:
        return RecommendOptions.model_validate(fields)
    except ValidationError as error:
        raise RequestValidationError(error.errors(include_url=False, include_context=False)) from error


def query_parameters(model: type[BaseModel]) -> list[dict[str, Any]]:
    """Return a model's fields as OpenAPI describes parameters of a query."""
    fields = model.model_json_schema()["properties"]
    parts = ({"name": name, "in": "query", "schema": _without_null(each)} for name, each in fields.items())
    return [{**part, "required": False, "description": part["schema"].pop("description", "")} for part in parts]


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of what a query can say: nothing in it is null."""
    some = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    rest = {key: value for key, value in schema.items() if key not in ("anyOf", "title") and value is not None}
    return {**some[0], **rest} if len(some) == 1 else rest
