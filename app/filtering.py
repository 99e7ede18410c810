"""Filtering: which items a request's categories, filter and boosts mean."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from engine.boost import Boost
from engine.filter_expression import FilterExpression
from engine.item_fields import MOST_BYTES, ItemFields
from engine.items import ItemTable
from engine.query import Lift
from engine.selection import Selection

Mask = npt.NDArray[np.bool_]
SELECTIONS_KEPT = 32
CATEGORIES, FILTER, BOOST = "categories", "filter", "boost"


class Filtering:
    """Looks the items' metadata up; the columns of it are made when the first request needs them."""

    def __init__(self, items: ItemTable) -> None:
        self.fields = ItemFields(items)
        self._selections: dict[int, Selection] = {}

    def build_like(self, other: Filtering) -> None:
        """Make the columns if the other one has them."""
        if other.fields.is_built:
            self.fields.build()

    async def prepare(self, categories: Sequence[str], match: str, text: str | None, boosts: Sequence[str]) -> None:
        """Look up what is wanted, one rule after the other, so that other requests are answered in between.

        Raises QueryError naming the option that cannot be read.
        """
        rules = [*_rules(categories, match, text), *((BOOST, Boost.parse(boost).expression) for boost in boosts)]
        if rules and not self.fields.is_built:
            await asyncio.to_thread(self.fields.build)
        for option, rule in rules:
            self.fields.matches(rule, option)
            await asyncio.sleep(0)

    def selection(self, categories: Sequence[str], match: str, text: str | None) -> Selection | None:
        """Return the items that fit, None if all do; raises QueryError naming the option that cannot be read."""
        rules = [rule for _, rule in _rules(categories, match, text)]
        if not rules:
            return None
        return self._selection(self.fields.matches(rules[0] if len(rules) == 1 else rules[0] & rules[1]))

    def lifts(self, boosts: Sequence[str]) -> tuple[Lift, ...]:
        """Return what boosts mean; raises QueryError for one that cannot be read."""
        rules = [Boost.parse(text) for text in boosts]
        return tuple(Lift(rule.weight, self._selection(self.fields.matches(rule.expression, BOOST))) for rule in rules)

    def _selection(self, mask: Mask) -> Selection:
        """Return the selection of a mask; that of the same mask is the same, with what it has looked up."""
        # It holds its mask, so no other can have the same id.
        if (kept := self._selections.get(id(mask))) is None:
            kept = self._selections[id(mask)] = Selection(mask)
            # Of ten million items the masks of a few take as much memory as is meant for them.
            while len(self._selections) > max(min(SELECTIONS_KEPT, MOST_BYTES // max(mask.nbytes, 1)), 1):
                self._selections.pop(next(iter(self._selections)))
        return kept


def _rules(categories: Sequence[str], match: str, text: str | None) -> Iterator[tuple[str, FilterExpression]]:
    if categories:
        make = FilterExpression.all_of if match == "all" else FilterExpression.any_of
        yield CATEGORIES, make(CATEGORIES, categories)
    if text:
        yield FILTER, FilterExpression.parse(text)
