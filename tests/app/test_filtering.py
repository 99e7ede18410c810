"""Selections are kept by the masks that they are of: never one for another, whatever changes meanwhile."""

from __future__ import annotations

import live_world
import numpy as np

from app.filtering import SELECTIONS_KEPT, Filtering
from engine.filter_expression import FilterExpression
from engine.item_fields import ItemFields
from engine.live_item import LiveItem
from engine.selection import Selection

parse = FilterExpression.parse


def test_the_selection_of_one_filter_is_never_given_for_another() -> None:
    recommender = live_world.live_recommender()
    filtering = Filtering(recommender.items)
    texts = ["number >= 6", "number < 6 or number = 6"]
    given = list[Selection]()
    for change in range(80):
        recommender.catalogue.put([LiveItem(f"new {change}", {"number": change % 13})])
        if change % 3 == 0:
            recommender.catalogue.remove([f"new {change // 2}"])
        for text in texts:
            mask = ItemFields(recommender.items).matches(parse(text))
            selection = filtering.selection([], "any", text)
            assert selection.rows.tolist() == np.flatnonzero(mask).tolist()
            assert len(selection) == mask.sum()
            # As long as nothing changes it is the same, with what it has looked up.
            assert filtering.selection([], "any", text) is selection
            given.append(selection)
    assert len({id(each) for each in given}) == len(given)


def test_few_selections_are_kept_and_none_of_them_for_a_mask_that_is_gone() -> None:
    items = live_world.table()
    filtering = Filtering(items)
    # So little memory for masks that none is kept, and that their places in memory are used again.
    filtering.fields = ItemFields(items, most_bytes=0)
    for number in [*range(live_world.ITEMS), *range(live_world.ITEMS)] * 5:
        assert filtering.selection([], "any", f"number = {number}").rows.tolist() == [number]
    for number in range(3 * SELECTIONS_KEPT):
        filtering.selection([], "any", f"number >= {number / 10}")
    assert len(filtering._selections) <= SELECTIONS_KEPT
