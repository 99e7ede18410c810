"""Boosts as texts."""

from __future__ import annotations

import math

import pytest
from filter_world import FILTERS, Filter
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.boost import Boost
from engine.errors import QueryError
from engine.filter_expression import FilterExpression


def test_a_boost_is_a_weight_and_a_filter() -> None:
    boost = Boost.parse('-.5 IF year >= 1990 and categories = "War"')
    assert boost == Boost(-0.5, FilterExpression.parse('year >= 1990 and categories = "War"'))
    assert str(boost) == '-0.5 if year >= 1990 and categories = "War"'


@settings(max_examples=100, deadline=None)
@given(st.floats(-10, 10), FILTERS)
def test_its_text_is_read_as_the_same(weight: float, filter_: Filter) -> None:
    boost = Boost.parse(f"{weight!r} if {filter_[0]}")
    assert boost == Boost(weight, FilterExpression.parse(filter_[0]))
    assert Boost.parse(str(boost)) == boost


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("year >= 1990", "there is year at column 1, but expected is a number"),
        ("0.5 year >= 1990", 'there is year at column 5, but expected is "if"'),
        ("0.5 if", "the text ends at column 7"),
        ("0.5 if a = 1 if b = 2", "there is if at column 14"),
        ("10.5 if a = 1", "the weight 10.5 is outside of -10 to 10"),
        ("-11 if a = 1", "the weight -11 is outside of -10 to 10"),
        ("nan if a = 1", "there is nan at column 1"),
        ("1 if " + "(" * 2_000, "it has 2005 characters, at most 2000"),
        ("1 if " + " or ".join(["a=1"] * 101), "there are 101 comparisons"),
    ],
)
def test_what_is_wrong_is_said(text: str, said: str) -> None:
    with pytest.raises(QueryError) as error:
        Boost.parse(text)
    assert str(error.value).startswith(f"boost: {said}")


@pytest.mark.parametrize("weight", [math.nan, math.inf, 10.01, -10.01])
def test_a_weight_without_a_text_is_bounded_too(weight: float) -> None:
    with pytest.raises(QueryError, match="outside of -10 to 10"):
        Boost(weight, FilterExpression.parse("a = 1"))
