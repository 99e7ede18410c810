"""What sources share: the first candidates that a history may get."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.source import among, without

FEW = st.lists(st.integers(-1, 12), max_size=12)


@given(indices=FEW, others=FEW)
def test_among_is_what_isin_is(indices: list[int], others: list[int]) -> None:
    found = among(np.array(indices, dtype=np.int64), np.array(others, dtype=np.int64))
    assert found.tolist() == [index in others for index in indices]


@pytest.mark.parametrize("depth", [1, 3, 7])
def test_without_keeps_the_order_of_what_is_left(depth: int) -> None:
    indices = np.array([[5, 3, 9, 1, -1], [2, 4, 6, 8, 0]])
    scores = np.arange(10, 0, -1, dtype=np.float32).reshape(2, 5)
    excluded = [np.array([3, 7]), np.array([0, 2, 4, 6, 8])]
    kept, kept_scores = without(excluded, indices, scores, depth)
    assert kept.shape == kept_scores.shape == (2, depth)
    assert kept.tolist() == [([5, 9, 1] + [-1] * 7)[:depth], [-1] * depth]
    assert kept_scores[0].tolist() == ([10.0, 8.0, 7.0] + [-np.inf] * 7)[:depth]
