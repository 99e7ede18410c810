"""Vectors in fewer bytes are nearly those that were given, however they are read."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from engine.errors import BundleError
from engine.item_vectors import ItemVectors
from engine.vector_table import CompactTable, Table, VectorType, kind_of, pieces, stored

FINITE = st.floats(-1e4, 1e4, width=32)
ROWS = arrays(np.float32, array_shapes(min_dims=2, max_dims=2, max_side=9), elements=FINITE)
COMPACT: tuple[VectorType, ...] = ("float16", "int8")


def error_of(table: Table, vectors: np.ndarray) -> np.ndarray:
    return np.abs(np.asarray(table) - vectors).max(axis=1)


@given(ROWS)
def test_what_is_lost_is_within_a_step_of_the_row(vectors: np.ndarray) -> None:
    largest = np.abs(vectors).max(axis=1)
    assert (error_of(CompactTable.of(vectors, "int8"), vectors) <= largest / 127 * 0.501 + 1e-30).all()
    assert (error_of(CompactTable.of(vectors, "float16"), vectors) <= largest * 2**-11 + 1e-7).all()
    assert CompactTable.of(vectors, "float32") is vectors


@pytest.mark.parametrize("kind", COMPACT)
def test_it_reads_like_an_array_of_float32(kind: VectorType) -> None:
    vectors = np.random.default_rng(0).normal(size=(70, 6)).astype(np.float32)
    table = CompactTable.of(vectors, kind)
    whole = np.asarray(table)
    assert table.shape == whole.shape == (70, 6)
    assert whole.dtype == np.float32
    assert len(table) == 70
    for rows in (np.array([3, 69, 0]), np.array([[1, -1], [2, 2]]), np.arange(70) % 7 == 0, 5):
        assert table[rows].dtype == np.float32
        np.testing.assert_array_equal(table[rows], whole[rows])
    np.testing.assert_array_equal(table[np.array([4, 5]), :-1], whole[[4, 5], :-1])
    np.testing.assert_array_equal(table[:, 2:], whole[:, 2:])
    np.testing.assert_array_equal(np.concatenate(list(pieces(table, 32))), whole)
    np.testing.assert_allclose(table @ vectors[0], whole @ vectors[0], rtol=1e-5)
    assert isinstance(table[:-1], CompactTable)
    np.testing.assert_array_equal(np.asarray(table[:-1]), whole[:-1])


@pytest.mark.parametrize("kind", COMPACT)
def test_it_takes_the_room_that_it_says(kind: VectorType) -> None:
    vectors = np.ones((100, 60), dtype=np.float32)
    table = CompactTable.of(vectors, kind)
    assert stored(table).nbytes == {"float16": 100 * 120, "int8": 100 * 64}[kind]
    assert kind_of(table) == kind
    assert kind_of(vectors) == "float32"


def test_rows_of_zeros_and_of_huge_numbers_stay_finite() -> None:
    vectors = np.array([[0, 0, 0], [3e38, -3e38, 1], [1e-40, 0, 0]], dtype=np.float32)
    for kind in COMPACT:
        assert np.isfinite(np.asarray(CompactTable.of(vectors, kind))).all()
    np.testing.assert_array_equal(np.asarray(CompactTable.of(vectors, "int8"))[0], 0)


def test_a_row_without_room_for_its_scale_is_refused() -> None:
    with pytest.raises(BundleError, match="too few for a scale"):
        CompactTable.opened(np.zeros((5, 3), dtype=np.int8))


@pytest.mark.parametrize("kind", COMPACT)
def test_live_items_stay_as_they_came(kind: VectorType) -> None:
    random = np.random.default_rng(1)
    plain = ItemVectors(random.normal(size=(9, 5)).astype(np.float32), random.normal(size=(8, 6)).astype(np.float32))
    vectors = plain.stored_as(kind)
    live = random.normal(size=(2, 5)).astype(np.float32), random.normal(size=(2, 6)).astype(np.float32)
    vectors.put(np.array([9, 11]), *live)
    rows = np.array([[0, 7], [9, 11]])
    for found, before, came in zip(
        (vectors.inputs_of(rows), vectors.outputs_of(rows)), (plain.inputs, plain.outputs), live, strict=True
    ):
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found[1], came)
        np.testing.assert_allclose(found[0], np.asarray(before)[rows[0]], atol=0.03)
