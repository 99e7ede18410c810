"""FilterExpression: which items are wanted, by what their metadata says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from engine import filter_nodes as nodes
from engine.errors import QueryError
from engine.filter_grammar import check_size, parse_filter
from engine.filter_nodes import Comparison, Node

PARSED_KEPT = 1_024


@dataclass(frozen=True, slots=True)
class FilterExpression:
    """A filter such as `year >= 1990 and not categories = "Horror"`; two with the same canonical text are equal.

    A field is a set of values: a list is the set of its elements, anything else a set of one. `item_id` is a field too.
    null, an empty list and an object are the empty set.

    - `f = v`, `f in (v, …)`: some value equals. Texts equal texts and numbers numbers, 1 as well as 1.0; true and false
      equal themselves alone, as in JSON, so neither 1 nor "true". `f = null`: the set is empty.
    - `f != v` is `not f = v`, and so is true of an item that lacks the field.
    - `f < v`, `<=`, `>`, `>=`: some value of the same type does; texts by code points, so that ISO dates are in order.
    - `f contains "x"`: an element of a list is "x", or a text that is no list has "x" within it. Both mind the case.
    - `not` before `and` before `or`; keywords in any case. Names of fields are letters, digits and _ . - or stand in
      `backquotes`; texts are in "…" or '…', with the escapes \\" \\' and \\\\.
    """

    text: str
    """The canonical text, which `parse` reads again unless it was put together by other means and is too long."""
    node: Node = field(compare=False, repr=False)

    @classmethod
    def parse(cls, text: str) -> FilterExpression:
        """Read a filter; raises QueryError that says at which column it is wrong, or which bound it exceeds."""
        return _parsed(text)

    @classmethod
    def of(cls, node: Node, option: str = "filter") -> FilterExpression:
        """Return the filter of a node; raises QueryError, which begins with `option`, if it is too large."""
        check_size(node, option)
        return cls(nodes.text_of(node), node)

    @classmethod
    def any_of(cls, field: str, values: Sequence[str]) -> FilterExpression:
        """Return what is true of items of which the field has at least one of the values."""
        return cls.of(nodes.equals_one_of(field, _some(field, values)))

    @classmethod
    def all_of(cls, field: str, values: Sequence[str]) -> FilterExpression:
        """Return what is true of items of which the field has each of the values."""
        distinct = dict.fromkeys(_some(field, values))
        return cls.of(nodes.all_of(Comparison(field, "=", (value,)) for value in distinct))

    def __and__(self, other: FilterExpression) -> FilterExpression:
        """Return what is true of items of which both are; raises QueryError if it is too large."""
        return self.of(nodes.all_of((self.node, other.node)))

    def __str__(self) -> str:
        return self.text

    @property
    def fields(self) -> frozenset[str]:
        """The names of the fields that are compared."""
        return frozenset(each.field for each in nodes.comparisons(self.node))


@lru_cache(maxsize=PARSED_KEPT)
def _parsed(text: str) -> FilterExpression:
    return FilterExpression.of(parse_filter(text))


def _some(field: str, values: Iterable[str]) -> list[str]:
    found = list(values)
    if not found:
        raise QueryError(f"{field}: the list is empty; name at least one value, or leave it out")
    return found
