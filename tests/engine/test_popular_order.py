"""The popular order is that of a sort, however little of it is looked at."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import popular_order
from engine.errors import BundleError
from engine.items import ItemTable
from engine.live_item import LiveItem
from engine.popular_order import check_order
from engine.vocabulary import Vocabulary

COUNTS = st.lists(st.integers(0, 3), min_size=1, max_size=40)


def table(counts: list[int], live: int = 0, hidden: set[int] = frozenset(), *, is_given: bool = False) -> ItemTable:
    ids, popularity = [f"{row}" for row in range(len(counts))], np.array(counts, np.float32)
    order = np.argsort(-popularity, kind="stable").astype(np.int32) if is_given else None
    items = ItemTable(Vocabulary(ids), {"popularity": popularity}, order=order)
    for number in range(live):
        items.append(LiveItem(f"live {number}"), is_readable=False)
    for row in hidden:
        if row < items.rows.end and row != items.rows.base:
            items.change(row, LiveItem(items.vocabulary.id_of(row), is_hidden=True))
    return items


def expected(counts: list[int], live: int, hidden: set[int]) -> list[int]:
    rows = sorted(range(len(counts)), key=lambda row: (-counts[row], row))
    return [row for row in [*rows, *range(len(counts) + live, len(counts), -1)] if row not in hidden]


@given(COUNTS, st.integers(0, 4), st.sets(st.integers(0, 44)), st.integers(0, 50), st.booleans())
def test_the_first_are_those_of_a_sort(counts: list[int], live: int, hidden: set[int], n: int, given_order) -> None:
    popular = table(counts, live, hidden, is_given=given_order).popular
    wanted = expected(counts, live, hidden)
    assert popular.first(n).tolist() == wanted[:n]
    assert popular.first(n, lambda rows: rows % 2 == 0).tolist() == [row for row in wanted if row % 2 == 0][:n]
    assert popular.largest == max(counts)


@given(COUNTS, st.integers(0, 4), st.sets(st.integers(0, 44)), st.sets(st.integers(0, 44)))
def test_some_rows_are_sorted_as_all_are(counts: list[int], live: int, hidden: set[int], some: set[int]) -> None:
    items, padding = table(counts, live, hidden), len(counts)
    rows = sorted(row for row in some if row < items.rows.end and row != padding)
    found = items.popular.sorted(np.array(rows, dtype=np.int64)).tolist()
    assert found == [row for row in expected(counts, live, hidden) if row in rows]


def test_no_more_is_looked_at_than_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(popular_order, "FIRST_LOT", 4)
    looked_at = []

    def fits(rows: np.ndarray) -> np.ndarray:
        looked_at.extend(rows.tolist())
        return rows != 1

    popular = table(list(range(1_000, 0, -1))).popular
    assert popular.first(5, fits).tolist() == [0, 2, 3, 4, 5]
    assert looked_at == list(range(12))


@pytest.mark.parametrize(
    "change",
    [
        lambda order: order.__setitem__(0, 3),
        lambda order: order.__setitem__(0, -1),
        lambda order: order.__setitem__(0, order[1]),
        lambda order: order.__setitem__(slice(None), order[::-1].copy()),
    ],
)
def test_what_is_no_order_is_refused(change: Callable[[np.ndarray], object]) -> None:
    order, counts = np.array([2, 0, 1], np.int32), np.array([1, 0, 5], np.float32)
    check_order(order, counts)
    change(order)
    with pytest.raises(BundleError, match="train again"):
        check_order(order, counts)


def test_a_popularity_that_is_no_number_is_refused() -> None:
    with pytest.raises(BundleError, match="order"):
        check_order(np.array([0, 1], np.int32), np.array([np.nan, 1], np.float32))
