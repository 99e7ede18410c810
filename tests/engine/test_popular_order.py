"""The popular order is that of a sort, however little of it is looked at."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import row_order
from engine.errors import BundleError
from engine.items import ItemTable
from engine.live_item import LiveItem
from engine.popular_order import check_order
from engine.prepared_items import PreparedItems
from engine.row_order import check_rows
from engine.vocabulary import Vocabulary

COUNTS = st.lists(st.integers(0, 3), min_size=1, max_size=40)


def table(counts: list[int], live: int = 0, hidden: set[int] = frozenset(), *, is_given: bool = False) -> ItemTable:
    ids, popularity = [f"{row}" for row in range(len(counts))], np.array(counts, np.float32)
    order = np.argsort(-popularity, kind="stable").astype(np.int32)
    prepared = PreparedItems(order, order, order, {}) if is_given else None
    items = ItemTable(Vocabulary(ids), {"popularity": popularity}, prepared=prepared)
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
    monkeypatch.setattr(row_order, "FIRST_LOT", 4)
    looked_at = []

    def fits(rows: np.ndarray) -> np.ndarray:
        looked_at.extend(rows.tolist())
        return rows != 1

    popular = table(list(range(1_000, 0, -1))).popular
    assert popular.first(5, fits).tolist() == [0, 2, 3, 4, 5]
    assert looked_at == list(range(12))


@pytest.mark.parametrize("rows", [[2, 0, 3], [2, 0, -1], [2, 0, 0], [2, 0], [0, 1, 2, 2]])
def test_rows_of_which_one_is_missing_or_strange_are_refused(rows: list[int]) -> None:
    check_rows(np.array([2, 0, 1], np.int32), 3)
    check_rows(np.empty(0, np.int32), 0)
    with pytest.raises(BundleError, match="train again"):
        check_rows(np.array(rows, np.int32), 3)


@pytest.mark.parametrize("popularity", [[1, 0, 5], [5, np.nan, 1], [np.nan, 1, 0]])
def test_what_is_no_order_by_popularity_is_refused(popularity: list[float]) -> None:
    order = np.array([0, 1, 2], np.int32)
    check_order(order, np.array([5, 1, 1], np.float32))
    with pytest.raises(BundleError, match="order"):
        check_order(order, np.array(popularity, np.float32))
