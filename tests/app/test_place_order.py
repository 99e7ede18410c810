"""Places in order, against a sorted list."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import place_order
from app.item_cursor import BEFORE_ALL
from app.place_order import Place, PlaceOrder

PLACES = st.tuples(st.integers(0, 30).map(float), st.sampled_from("ab"))


@pytest.fixture
def short_blocks() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(place_order, "LONGEST", 3)
        yield


def everything(order: PlaceOrder, n: int) -> list[Place]:
    found, place = [], BEFORE_ALL
    while more := order.after(place, n):
        found += more
        place = more[-1]
    return found


@pytest.mark.usefixtures("short_blocks")
@given(
    begin=st.lists(PLACES, max_size=20),
    changes=st.lists(st.tuples(st.booleans(), PLACES), max_size=60),
    n=st.integers(1, 7),
    place=PLACES,
)
def test_any_changes_leave_the_places_in_order(
    begin: list[Place], changes: list[tuple[bool, Place]], n: int, place: Place
) -> None:
    order, plain = PlaceOrder(begin), set(begin)
    for is_new, each in changes:
        (order.add if is_new else order.discard)(each)
        (plain.add if is_new else plain.discard)(each)
        assert max(map(len, order._blocks), default=0) <= 3
    assert everything(order, n) == sorted(plain)
    assert order.after(place, n) == [each for each in sorted(plain) if each > place][:n]


def test_no_block_grows_with_the_number_of_places() -> None:
    places = [(float(number), "a") for number in range(20_000)]
    order = PlaceOrder()
    for place in random.Random(1).sample(places, len(places)):
        order.add(place)
    assert max(map(len, order._blocks)) <= place_order.LONGEST
    assert everything(order, 500) == places
