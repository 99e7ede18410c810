"""Bits and growing arrays, against a set and a dict."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.growing_array import GrowingArray
from engine.row_set import RowSet


@given(changes=st.lists(st.tuples(st.integers(0, 300), st.booleans())))
def test_it_is_a_set(changes: list[tuple[int, bool]]) -> None:
    rows, plain = RowSet(), set()
    for row, is_in in changes:
        rows.set(row, is_in)
        (plain.add if is_in else plain.discard)(row)
    asked = np.arange(-1, 400).reshape(1, -1)
    assert set(asked[rows.hits(asked)].tolist()) == plain
    assert len(rows) == len(plain)
    assert all((row in rows) == (row in plain) for row in range(-1, 400))
    assert rows.rows().tolist() == sorted(plain)
    bits = np.unpackbits(rows.bits, bitorder="little")
    assert set(np.flatnonzero(bits).tolist()) == plain


@given(
    places=st.lists(st.integers(0, 60), max_size=20),
    asked=st.lists(st.integers(0, 90).filter(lambda index: index != 5), max_size=12),
)
def test_rows_stand_where_they_were_put_beside_a_base(places: list[int], asked: list[int]) -> None:
    base = np.arange(10.0).reshape(5, 2)
    live, plain = GrowingArray((2,), np.float64), {}
    for number, place in enumerate(places):
        live.put(np.array([place]), np.full((1, 2), 100.0 + number))
        plain[place] = 100.0 + number
    found = live.beside(base, np.array(asked, dtype=np.int64), 6)
    assert found.shape == (len(asked), 2)
    for index, row in zip(asked, found, strict=True):
        expected = base[index] if index < 5 else np.full(2, plain.get(index - 6, 0.0))
        np.testing.assert_array_equal(row, expected)


MASKS = st.lists(st.booleans(), max_size=40).map(lambda bits: np.array(bits, dtype=bool))


@given(mask=MASKS, changes=st.lists(st.tuples(st.integers(0, 60), st.booleans())))
def test_of_a_mask(mask: np.ndarray, changes: list[tuple[int, bool]]) -> None:
    rows, plain = RowSet.of(mask), set(np.flatnonzero(mask).tolist())
    assert len(rows) == len(plain)
    for row, is_in in changes:
        rows.set(row, is_in)
        (plain.add if is_in else plain.discard)(row)
    assert {row for row in range(-1, 100) if row in rows} == plain
    assert len(rows) == len(plain)


@given(one=MASKS, two=MASKS)
def test_joined_rows_are_in_either(one: np.ndarray, two: np.ndarray) -> None:
    first, second = RowSet.of(one), RowSet.of(two)
    both = first.joined(second)
    plain = set(np.flatnonzero(one).tolist()) | set(np.flatnonzero(two).tolist())
    assert {row for row in range(100) if row in both} == plain
    assert len(both) == len(plain)
    # Neither is changed by it.
    assert {row for row in range(100) if row in first} == set(np.flatnonzero(one).tolist())
    assert {row for row in range(100) if row in second} == set(np.flatnonzero(two).tolist())
