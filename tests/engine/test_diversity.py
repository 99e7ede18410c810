"""Diversity: at 0 the order of the scores, from there on lists whose items differ more and more."""

from __future__ import annotations

import live_world
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from live_world import ITEMS, ids, liked

from engine.diversity import diverse_places
from engine.errors import QueryError
from engine.query import Query
from engine.recommender import Recommender

SEEDS = st.integers(0, 2**32 - 1)


def unit_vectors(seed: int, count: int, width: int = 5) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def likeness_within(vectors: np.ndarray) -> float:
    """Return the mean cosine of different items of a list."""
    count = len(vectors)
    return float(((vectors @ vectors.T).sum() - count) / (count * (count - 1)))


@given(seed=SEEDS, count=st.integers(0, 40), n=st.integers(1, 50), diversity=st.floats(0, 1))
def test_as_many_different_places_as_there_are_in_ascending_order(
    seed: int, count: int, n: int, diversity: float
) -> None:
    places = diverse_places(unit_vectors(seed, count), n, diversity).tolist()
    assert places == sorted(set(places))
    assert len(places) == min(n, count)
    assert all(0 <= place < count for place in places)


@given(seed=SEEDS, count=st.integers(1, 40), n=st.integers(1, 50))
def test_without_diversity_the_first_stay(seed: int, count: int, n: int) -> None:
    assert diverse_places(unit_vectors(seed, count), n, 0.0).tolist() == list(range(min(n, count)))


@given(seed=SEEDS, diversity=st.floats(0, 0.999))
def test_the_best_item_always_stays(seed: int, diversity: float) -> None:
    assert diverse_places(unit_vectors(seed, 30), 5, diversity)[0] == 0


def test_one_of_each_kind_before_a_second() -> None:
    kinds = np.eye(4, dtype=np.float32)[[0, 0, 0, 1, 1, 1, 2, 2, 3, 3]]
    assert diverse_places(kinds, 4, 1.0).tolist() == [0, 3, 6, 8]
    assert diverse_places(kinds, 4, 0.05).tolist() == [0, 1, 2, 3]


def test_lists_differ_more_the_more_it_is_asked_for() -> None:
    mean = {
        diversity: np.mean(
            [likeness_within(each[diverse_places(each, 10, diversity)]) for each in map(_clustered, range(20))]
        )
        for diversity in (0.0, 0.4, 0.8, 1.0)
    }
    assert mean[0.0] > mean[0.4] + 0.02
    assert mean[0.4] > mean[0.8]
    assert mean[0.8] >= mean[1.0] - 0.01


def test_items_without_vectors_are_like_no_other() -> None:
    vectors = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 0.0], [0.0, 0.0]], dtype=np.float32)
    assert diverse_places(vectors, 3, 0.9).tolist() == [0, 2, 3]


def _clustered(seed: int) -> np.ndarray:
    """Four kinds of items; the best are of one kind."""
    kinds = unit_vectors(seed, 4, 8)[np.arange(60) // 15]
    vectors = kinds + 0.3 * unit_vectors(seed + 1_000, 60, 8)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def recommender() -> Recommender:
    return live_world.live_recommender(depth=ITEMS)


def test_a_list_with_diversity_has_the_scores_and_the_order_of_one_without(recommender: Recommender) -> None:
    whole = recommender.recommend([Query(liked("3"), ITEMS)])[0].items
    scores = {item.item_id: item.score for item in whole}
    found = recommender.recommend([Query(liked("3"), 5, diversity=0.9)])[0].items
    assert [item.item_id for item in found] != [item.item_id for item in whole][:5]
    assert [item.score for item in found] == [scores[item.item_id] for item in found]
    assert [item.score for item in found] == sorted((item.score for item in found), reverse=True)


def test_a_list_with_diversity_is_as_long(recommender: Recommender) -> None:
    for n in (1, 4, 40):
        plain = ids(recommender.recommend([Query(liked("3"), n)])[0])
        diverse = ids(recommender.recommend([Query(liked("3"), n, diversity=1.0)])[0])
        assert len(diverse) == len(plain) == len(set(diverse))


@pytest.mark.parametrize("diversity", [-0.1, 1.1, float("nan"), float("inf")])
def test_it_lies_between_0_and_1(diversity: float) -> None:
    with pytest.raises(QueryError, match="diversity is"):
        Query(liked("3"), diversity=diversity)
