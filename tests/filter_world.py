"""Random metadata, and random filters as a text beside a plain Python predicate of one document."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

Predicate = Callable[[dict[str, Any]], bool]
Filter = tuple[str, Predicate]

FIELDS = ["year", "categories", "in-house.x", "and", "ein `Feld`", "Größe"]
TEXTS = st.one_of(
    st.sampled_from(["Drama", "Dra", "ram", "", "1", "true", "é", "z", "Z", "😀", "a\0"]), st.text(max_size=4)
)
NUMBERS = st.one_of(
    st.sampled_from([0, 1, -1, 2, 1.5, 0.0, -0.0, 2**53, 1e300]),
    st.integers(-3, 3),
    st.floats(allow_nan=False, allow_infinity=False),
)
SCALARS = st.one_of(TEXTS, NUMBERS, st.booleans())
NESTED = st.sampled_from([{"a": 1}, ["x", ["y"]], [None], [True, 1, "1"], 10**400])
METADATA = st.dictionaries(
    st.sampled_from(FIELDS), st.one_of(st.none(), SCALARS, st.lists(SCALARS, max_size=3), NESTED), max_size=4
)
OPERATORS = {
    "<": lambda ours, theirs: ours < theirs,
    "<=": lambda ours, theirs: ours <= theirs,
    ">": lambda ours, theirs: ours > theirs,
    ">=": lambda ours, theirs: ours >= theirs,
}


def values_of(document: dict[str, Any], field: str) -> list[Any]:
    given = document.get(field)
    return [each for each in (given if isinstance(given, list) else [given]) if isinstance(each, (str, int, float))]


def is_same_type(ours: object, theirs: object) -> bool:
    kinds = [str if isinstance(each, str) else bool if isinstance(each, bool) else float for each in (ours, theirs)]
    return kinds[0] is kinds[1]


def equals(field: str, wanted: object) -> Predicate:
    return lambda document: any(is_same_type(each, wanted) and each == wanted for each in values_of(document, field))


def ordered(field: str, operator: str, wanted: object) -> Predicate:
    compare = OPERATORS[operator]
    return lambda document: any(
        is_same_type(each, wanted) and compare(each, wanted) for each in values_of(document, field)
    )


def contains(field: str, part: str) -> Predicate:
    def is_contained(document: dict[str, Any]) -> bool:
        given = document.get(field)
        return part in given if isinstance(given, (str, list)) else False

    return is_contained


def quoted_name(name: str) -> str:
    return (
        "`" + name.replace("`", "``") + "`"
        if name == "and" or not name.replace("-", "").replace(".", "").isascii() or " " in name
        else name
    )


def quoted(value: object, quote: str = '"') -> str:
    if isinstance(value, str):
        return quote + value.replace("\\", "\\\\").replace(quote, "\\" + quote) + quote
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else repr(value)


@st.composite
def comparisons(draw: st.DrawFn) -> Filter:
    field = draw(st.sampled_from(FIELDS))
    name, space = quoted_name(field), draw(st.sampled_from([" ", "  ", "\n", "\t "]))
    kind = draw(st.sampled_from(["=", "!=", "in", "order", "contains", "null"]))
    if kind == "null":
        return f"{name} ={space}NULL", lambda document: not values_of(document, field)
    if kind == "contains":
        part = draw(TEXTS)
        return f"{name} Contains {quoted(part)}", contains(field, part)
    if kind == "in":
        wanted = draw(st.lists(SCALARS, min_size=1, max_size=4))
        listed = f",{space}".join(quoted(each, "'") for each in wanted)
        return f"{name} in({listed})", lambda document: any(equals(field, each)(document) for each in wanted)
    value = draw(SCALARS if kind != "order" else st.one_of(TEXTS, NUMBERS))
    if kind == "order":
        operator = draw(st.sampled_from(sorted(OPERATORS)))
        return f"{name}{space}{operator}{space}{quoted(value)}", ordered(field, operator, value)
    is_equal = equals(field, value)
    return f"{name} {kind}{space}{quoted(value)}", is_equal if kind == "=" else lambda document: not is_equal(document)


def _negated(given: Filter) -> Filter:
    return f"not ({given[0]})", lambda document: not given[1](document)


def _joined(parts: list[Filter], word: str) -> Filter:
    join = all if word == "and" else any
    text = f" {word} ".join(f"({text})" for text, _ in parts)
    return text, lambda document: join(predicate(document) for _, predicate in parts)


FILTERS: st.SearchStrategy[Filter] = st.recursive(
    comparisons(),
    lambda parts: st.one_of(
        parts.map(_negated),
        st.builds(_joined, st.lists(parts, min_size=2, max_size=3), st.sampled_from(["and", "or"])),
    ),
    max_leaves=6,
)
