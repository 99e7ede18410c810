"""Cosines between items: of all rows at the cost of one product."""

from __future__ import annotations

import live_world
import numpy as np
from live_world import ITEMS, WIDTH, live

from engine.content_vectors import ContentVectors
from engine.measured_vectors import MeasuredVectors
from engine.vector_space import VectorSpace


def test_lengths_follow_what_is_put() -> None:
    vectors = MeasuredVectors(2)
    vectors.put(np.array([2, 1]), np.array([[3, 4], [0, 2]], dtype=np.float32))
    assert vectors.lengths.tolist() == [0, 2, 5]
    vectors.put(np.array([1]), np.array([[6, 8]], dtype=np.float32))
    assert vectors.lengths.tolist() == [0, 10, 5]
    vectors.drop_first(2)
    assert (vectors.rows.tolist(), vectors.lengths.tolist()) == ([[3, 4]], [5])


def test_no_row_but_the_one_asked_for_is_gathered() -> None:
    items = live_world.table()
    content = ContentVectors(live_world.CONTENT)
    for seed in range(50, 60):
        row = items.append(live(f"new{seed}", seed), is_readable=True)
        content.put(np.array([row]), live_world.content_of(seed)[None])
    gathered = list[int]()

    def of(indices: np.ndarray) -> np.ndarray:
        gathered.append(len(indices))
        return content.of(indices)

    space = VectorSpace(content.base, content.live, ITEMS, of)
    first = space.nearest(3, 4, items)
    gathered.clear()
    again = space.nearest(3, 4, items)
    assert [each.tolist() for each in again] == [each.tolist() for each in first]
    assert gathered == [1]
    assert space.nearest(ITEMS + 1, 99, items)[0].size == ITEMS + 10 - 1


def test_of_equal_ones_the_first_are_answered() -> None:
    items = live_world.table()
    content = ContentVectors(np.ones((ITEMS, WIDTH), dtype=np.float32))
    rows, cosines = VectorSpace.of_content(content, None).nearest(1, 3, items)
    assert rows.tolist() == [0, 2, 3]
    np.testing.assert_allclose(cosines, 1.0, rtol=1e-6)
