"""Item: what POST /items and PATCH /items take."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    TypeAdapter,
    WithJsonSchema,
    model_validator,
)

from app.item_document import FILES
from app.rating import ExternalId
from engine.errors import QueryError

MAX_ITEMS_AT_ONCE = 1_000
MAX_FIELDS = 64
MAX_KEYS = 64
MAX_KEY_CHARACTERS = 64
MAX_VALUE_CHARACTERS = 1_000
MAX_VALUES = 100
MAX_METADATA_BYTES = 16_384
# The longest integer that every JSON reader keeps exact.
MAX_INTEGER = 2**53
OWN_FIELDS = ("title", "description", "categories", "tags", "year", "price")
RESERVED = {*OWN_FIELDS, "item_id", "is_hidden", "image", "audio", "metadata"}
URL = re.compile(r"\s*[a-z][a-z0-9+.-]*:", re.IGNORECASE)


def check_text(value: str) -> str:
    """Return the text if it has no NUL; raises ValueError otherwise."""
    if "\0" in value:
        raise ValueError("a text must not contain a NUL character")
    return value


def decode_file(value: object) -> object:
    """Return the bytes of a base64 text; raises ValueError for a URL, which is never fetched."""
    if not isinstance(value, str):
        return value
    if URL.match(value):
        raise ValueError("is a URL, and the service fetches none; send the file itself as base64")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"is no base64 ({error})") from None


def check_metadata(given: dict[str, Any]) -> dict[str, Any]:
    """Return free-form metadata if all of it is bounded; raises ValueError naming the key."""
    _check_count(given)
    for key, value in given.items():
        if not 1 <= len(key) <= MAX_KEY_CHARACTERS or "\0" in key:
            raise ValueError(f"the key {key[:80]!r} must have 1 to {MAX_KEY_CHARACTERS} characters and no NUL")
        if key in RESERVED:
            raise ValueError(f"{key!r} is a field of its own; give it outside of metadata")
        _check_value(key, value)
    _check_size(given)
    return given


def _check_value(key: str, value: object) -> None:
    texts = value if isinstance(value, list) else [value] if isinstance(value, str) else []
    if not (_is_number(value) or value is None or isinstance(value, (str, list))) or not all(
        isinstance(text, str) for text in texts
    ):
        raise ValueError(f"{key!r} must be a text, a number within ±2^53, a truth, a list of texts or null")
    if len(texts) > MAX_VALUES:
        raise ValueError(f"{key!r} has {len(texts)} values; at most {MAX_VALUES} are kept")
    if any(len(text) > MAX_VALUE_CHARACTERS or "\0" in text for text in texts):
        raise ValueError(f"a text of {key!r} must have at most {MAX_VALUE_CHARACTERS} characters and no NUL")


def _is_number(value: object) -> bool:
    # A truth is a number here; what is no number and what is infinite fail the comparison.
    return isinstance(value, (int, float)) and abs(value) <= MAX_INTEGER


Title = Annotated[str, Field(max_length=1_000, strict=True), AfterValidator(check_text)]
Description = Annotated[str, Field(max_length=20_000, strict=True), AfterValidator(check_text)]
Value = Annotated[str, Field(min_length=1, max_length=256, strict=True), AfterValidator(check_text)]
Values = Annotated[list[Value], Field(max_length=MAX_VALUES)]
Base64 = Annotated[
    bytes, Field(strict=True), BeforeValidator(decode_file), WithJsonSchema({"type": "string", "format": "byte"})
]
Metadata = Annotated[dict[str, Any], AfterValidator(check_metadata)]


class ItemPatch(BaseModel):
    """Changes of an item: what is not named stays, null removes; so do nulls within metadata."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        json_schema_extra={"examples": [{"title": "Heat (1995)", "metadata": {"studio": None}}, {"is_hidden": True}]},
    )

    title: Title | None = None
    """What people call it."""
    description: Description | None = None
    """Only GET /items/{item_id} gives it again."""
    categories: Values | None = None
    """Its kinds, such as genres."""
    tags: Values | None = None
    """Further words for it."""
    year: Annotated[int, Field(strict=True, ge=-10_000, le=10_000)] | None = None
    """When it came out."""
    price: Annotated[float, Field(strict=True, ge=0, le=1e12, allow_inf_nan=False)] | None = None
    """In any one currency."""
    is_hidden: StrictBool | None = False
    """A hidden item is in no answer, but counts in histories."""
    image: Base64 | None = None
    """A JPEG, PNG, WebP or GIF as base64; never a URL."""
    audio: Base64 | None = None
    """A sound file as base64; never a URL."""
    metadata: Metadata | None = None
    """Up to 64 further fields: texts, numbers, truths, lists of texts."""

    @model_validator(mode="before")
    @classmethod
    def _check_fields(cls, given: object) -> object:
        # Each unknown field is an error of its own, and of a million of them nobody learns more than of one.
        if isinstance(given, dict) and len(given) > MAX_FIELDS:
            raise ValueError(f"has {len(given)} fields; further ones belong into metadata, {MAX_KEYS} at most")
        return given

    def applied_to(self, before: Mapping[str, Any]) -> dict[str, Any]:
        """Return flat metadata with the changes; raises QueryError if it has grown too large."""
        changed = {name: getattr(self, name) for name in OWN_FIELDS if name in self.model_fields_set}
        # What an items file called a file that is now another one, or none, is no name of it.
        before = {key: value for key, value in before.items() if key not in self.model_fields_set & {*FILES}}
        if "metadata" in self.model_fields_set and self.metadata is None:
            before = {key: value for key, value in before.items() if key in (*OWN_FIELDS, *FILES)}
        merged = {**before, **changed, **(self.metadata or {})}
        merged = {key: value for key, value in merged.items() if value is not None}
        if self.metadata:
            _check_growth({key: value for key, value in merged.items() if key not in OWN_FIELDS})
        return merged


class Item(ItemPatch):
    """An item as it is to be from now on; what is not named, the item does not have."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "item_id": "new-1",
                    "title": "Heat (1995)",
                    "description": "A thief and a detective in Los Angeles.",
                    "categories": ["Crime", "Thriller"],
                    "tags": ["heist"],
                    "year": 1995,
                    "price": 9.9,
                    "metadata": {"studio": "Regency", "runtime": 170},
                }
            ]
        },
    )

    item_id: ExternalId
    """1 to 256 bytes of UTF-8; an integer counts as its digits."""

    @property
    def flat(self) -> dict[str, Any]:
        """The metadata as answers give it: the item's own fields and the free-form ones, without nulls."""
        given = {name: getattr(self, name) for name in OWN_FIELDS} | (self.metadata or {})
        return {name: value for name, value in given.items() if value is not None}


ITEMS = TypeAdapter(Annotated[list[Item], Field(min_length=1, max_length=MAX_ITEMS_AT_ONCE)])


def parse_items(body: bytes) -> list[Item]:
    """Read one item or a list of them; raises pydantic's ValidationError, and QueryError for an id that comes twice."""
    items = ITEMS.validate_json(body) if body.lstrip()[:1] == b"[" else [Item.model_validate_json(body)]
    item_id, times = Counter(item.item_id for item in items).most_common(1)[0]
    if times > 1:
        raise QueryError(f"item_id: {item_id!r} stands {times} times in the list; send each item once")
    return items


def _check_growth(further: Mapping[str, Any]) -> None:
    try:
        _check_size(further)
    except ValueError as error:
        raise QueryError(f"metadata: with this change it {error}; remove some with null") from None


def _check_count(given: Mapping[str, Any]) -> None:
    if len(given) > MAX_KEYS:
        raise ValueError(f"has {len(given)} keys; at most {MAX_KEYS} are kept")


def _check_size(given: Mapping[str, Any]) -> None:
    _check_count(given)
    if (size := len(json.dumps(given, ensure_ascii=False).encode())) > MAX_METADATA_BYTES:
        raise ValueError(f"has {size} bytes as JSON; at most {MAX_METADATA_BYTES} are kept")
