"""What an item's metadata says under a field, as texts, values or a number; None, "" and [] are absent."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from engine.errors import DataError

SEPARATOR = "|"
# Nobody reads on after these, and a hostile upload must not cost seconds.
MOST_VALUES = 1_000
MOST_VALUE_CHARACTERS = 256
MOST_SHOWN = 250

Metadata = Mapping[str, Any]


def text_of(metadata: Metadata, fields: Iterable[str], most_characters: int) -> str:
    """Return the texts of the fields, one a line; raises DataError if one is neither a string nor a list of strings."""
    texts = (_text(metadata.get(field), field, most_characters) for field in fields)
    return _encodable("\n".join(text for text in texts if text)[:most_characters])


def values_of(metadata: Metadata, field: str) -> list[str]:
    """Return the values of "a|b", ["a", "b"] or "a" in lower case, each once; raises DataError for other types."""
    given = metadata.get(field)
    if isinstance(given, str):
        given = given.split(SEPARATOR, MOST_VALUES)
    elif not isinstance(given, (list, tuple)):
        given = [given]
    values = (_value(each, field) for each in given[:MOST_VALUES])
    return list(dict.fromkeys(value for value in values if value))


def number_of(metadata: Metadata, field: str) -> float | None:
    """Return the number, also of a string such as "1995"; raises DataError if there is something that is none."""
    given = metadata.get(field)
    if given is None or given == [] or (isinstance(given, str) and not given.strip()):
        return None
    if isinstance(given, bool) or not isinstance(given, (int, float, str)):
        _refuse(field, given, "a number such as 1995")
    try:
        number = float(given)
    except (ValueError, OverflowError):
        _refuse(field, given, "a number such as 1995")
    if not math.isfinite(number):
        _refuse(field, given, "a finite number")
    return number


def _text(given: object, field: str, most_characters: int) -> str:
    if given is None:
        return ""
    if isinstance(given, (list, tuple)):
        return ", ".join(_text(each, field, most_characters) for each in given[:MOST_VALUES] if each is not None)
    if not isinstance(given, str):
        _refuse(field, given, "a text in quotes, or a list of texts")
    return given.strip()[:most_characters]


def _value(given: object, field: str) -> str:
    if given is None:
        return ""
    # Categories may be numbered; but a float, a truth or an object is a mistake.
    if isinstance(given, bool) or not isinstance(given, (str, int)):
        _refuse(field, given, 'a text such as "Drama|Comedy", or a list of texts')
    return " ".join(_encodable(str(given)[:MOST_VALUE_CHARACTERS]).casefold().split())


def _encodable(text: str) -> str:
    """Replace the lone surrogates that JSON may hold: they cannot be encoded."""
    return text.encode("utf-8", "replace").decode()


def _refuse(field: str, given: object, wanted: str) -> NoReturn:
    raise DataError(f"{field} is {reprlib.repr(given)[:MOST_SHOWN]}; give {wanted}, or leave it out")
