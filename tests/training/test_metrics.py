"""Metrics against torchmetrics on random lists, and against small examples worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from torchmetrics.functional import retrieval
from torchmetrics.functional.regression import mean_absolute_error, mean_squared_error

from training.metrics import (
    catalogue_coverage,
    head_items,
    intra_list_diversity,
    mean_metrics,
    mean_over_list,
    novelty,
    popularity_bias,
    ranking_metrics,
    user_metrics,
)
from training.rating_metrics import rating_metrics

DEPTH = 20
LISTS = st.lists(st.integers(0, 30).map(str), unique=True, max_size=DEPTH + 3)
WANTED = st.sets(st.integers(0, 30).map(str), max_size=8)
USERS = st.lists(st.tuples(LISTS, WANTED), min_size=1, max_size=4)


def peer(items: list[str], right: set[str], k: int) -> dict[str, float]:
    """One user by torchmetrics: the list, fillers where it is short, then the wanted items that it lacks."""
    places = [*items, *["filler"] * DEPTH, *sorted(right - set(items))]
    scores = torch.arange(len(places), 0, -1, dtype=torch.float32)
    target = torch.tensor([item in right for item in places])
    found = sum(target[:k].tolist())
    # torchmetrics divides the sum of AP by the hits it found, so a list that misses items is as good as a full one.
    missed = found / min(k, len(right))
    precision = float(retrieval.retrieval_precision(scores, target, top_k=k))
    recall = float(retrieval.retrieval_recall(scores, target, top_k=k))
    return {
        f"HR@{k}": float(retrieval.retrieval_hit_rate(scores, target, top_k=k)),
        f"Precision@{k}": precision,
        f"Recall@{k}": recall,
        f"F1@{k}": 2 * precision * recall / (precision + recall) if found else 0.0,
        f"NDCG@{k}": float(retrieval.retrieval_normalized_dcg(scores, target, top_k=k)),
        f"MRR@{k}": float(retrieval.retrieval_reciprocal_rank(scores, target, top_k=k)),
        f"MAP@{k}": float(retrieval.retrieval_average_precision(scores, target, top_k=k)) * missed,
    }


@hypothesis_settings(max_examples=60, deadline=None)
@given(users=USERS)
def test_each_users_metrics_are_those_of_torchmetrics(users: list[tuple[list[str], set[str]]]) -> None:
    measured = user_metrics([items for items, _ in users], [right for _, right in users])
    for row, (items, right) in enumerate(users):
        own = {name: values[row] for name, values in measured.items()}
        if right:
            assert own == pytest.approx(
                peer(items, right, 5) | peer(items, right, 10) | peer(items, right, 20), rel=1e-5
            )
        else:
            assert all(math.isnan(value) for value in own.values())


@hypothesis_settings(deadline=None)
@given(users=USERS)
def test_metrics_stay_within_0_and_1_and_average_the_users_who_want_something(users) -> None:
    ranked, wanted = [items for items, _ in users], [right for _, right in users]
    means = ranking_metrics(ranked, wanted)
    assert bool(means) == any(wanted)
    assert all(0.0 <= value <= 1.0 for value in means.values())
    wanting = [(items, right) for items, right in users if right]
    assert means == ranking_metrics([items for items, _ in wanting], [right for _, right in wanting])


@hypothesis_settings(deadline=None)
@given(items=LISTS, right=WANTED.filter(bool), k=st.integers(1, DEPTH))
def test_ndcg_and_map_are_1_for_perfect_lists_only(items, right, k) -> None:
    perfect = set(items[: min(k, len(right))]) <= right and len(items) >= min(k, len(right))
    metrics = ranking_metrics([items], [right], (k,))
    assert (metrics[f"NDCG@{k}"] == 1.0) == perfect
    assert (metrics[f"MAP@{k}"] == 1.0) == perfect


def test_one_list_by_hand() -> None:
    metrics = ranking_metrics([["x", "a", "y", "b", "c"]], [{"a", "b", "z"}], (4,))
    assert metrics == pytest.approx(
        {
            "HR@4": 1.0,
            "Precision@4": 2 / 4,
            "Recall@4": 2 / 3,
            "F1@4": 4 / 7,
            "NDCG@4": (1 / math.log2(3) + 1 / math.log2(5)) / (1 + 1 / math.log2(3) + 1 / math.log2(4)),
            "MRR@4": 1 / 2,
            "MAP@4": (1 / 2 + 2 / 4) / 3,
        }
    )


def test_a_perfect_and_a_useless_list() -> None:
    assert set(ranking_metrics([["a", "b"]], [{"a", "b"}], (2,)).values()) == {1.0}
    assert set(ranking_metrics([["c"]], [{"a"}], (2,)).values()) == {0.0}


def test_a_short_list_is_judged_at_the_full_cutoff() -> None:
    metrics = ranking_metrics([["a"]], [{"a", "b"}], (5,))
    assert metrics["Precision@5"] == 1 / 5
    assert metrics["Recall@5"] == 1 / 2


def test_no_users_and_users_who_want_nothing_have_no_metrics() -> None:
    assert ranking_metrics([], []) == {}
    assert ranking_metrics([["a"]], [set()]) == {}
    assert user_metrics([], [])["HR@5"].shape == (0,)


def test_lists_that_cannot_be_judged_are_refused() -> None:
    with pytest.raises(ValueError, match="list 1 has an item twice"):
        user_metrics([["a"], ["b", "b"]], [{"a"}, {"b"}])
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        user_metrics([["a"], ["b"]], [{"a"}])


def test_means_leave_out_users_and_metrics_that_are_not_defined() -> None:
    assert mean_metrics({"some": np.array([1.0, np.nan, 3.0]), "none": np.array([np.nan] * 3)}) == {"some": 2.0}


def test_coverage_counts_each_recommended_item_once() -> None:
    assert catalogue_coverage(np.array([[0, 1, 2], [1, 2, -1]]), 4) == 3 / 4
    assert catalogue_coverage(np.empty((0, 0), dtype=np.int64), 4) == 0.0


def test_novelty_is_the_self_information_of_what_is_recommended() -> None:
    popularity = np.array([8, 4, 4, 0], dtype=np.float32)
    lists = np.array([[0, 1], [2, -1], [3, -1], [-1, -1]])
    np.testing.assert_array_equal(novelty(lists, popularity), [(1 + 2) / 2, 2, 4, np.nan])


def test_the_popular_list_is_the_least_novel() -> None:
    popularity = np.arange(50, 0, -1.0)
    lists = np.random.default_rng(0).permuted(np.tile(np.arange(50), (100, 1)), axis=1)[:, :10]
    values = novelty(lists, popularity)
    assert (values > novelty(np.arange(10)[None], popularity)).all()


def test_diversity_is_one_minus_the_mean_cosine_of_the_pairs() -> None:
    vectors = np.array([[1, 0], [2, 0], [0, 3], [-1, 0], [0, 0], [1, 1]], dtype=np.float32)
    lists = np.array([[0, 1, -1], [0, 2, -1], [0, 3, -1], [0, 1, 2], [0, 4, -1], [0, -1, -1], [-1, -1, -1]])
    expected = [0, 1, 2, 1 - 1 / 3, 1, np.nan, np.nan]
    np.testing.assert_allclose(intra_list_diversity(lists, vectors), expected, atol=1e-12)


def test_diversity_of_categories_and_of_random_vectors_is_what_all_pairs_say() -> None:
    random = np.random.default_rng(0)
    lists = random.permuted(np.tile(np.arange(40), (9, 1)), axis=1)[:, :7]
    for vectors in (random.random((40, 6)) < 0.4, random.normal(size=(40, 6))):
        units = torch.nn.functional.normalize(torch.from_numpy(vectors[lists].astype(float)), dim=2)
        cosines = (units @ units.mT).numpy()
        pairs = [np.mean([each[i, j] for i in range(7) for j in range(i)]) for each in cosines]
        np.testing.assert_allclose(intra_list_diversity(lists, vectors), 1 - np.array(pairs), atol=1e-12)


def test_popularity_bias_compares_lists_with_histories_of_the_same_users() -> None:
    popularity = np.array([9.0, 3.0, 1.0])
    recommended = mean_over_list(popularity, np.array([[0, 1], [0, -1], [2, -1], [-1, -1]]))
    np.testing.assert_array_equal(recommended, [6, 9, 1, np.nan])
    assert popularity_bias(recommended, np.array([2.0, 3.0, np.nan, 5.0])) == 15 / 5
    assert popularity_bias(recommended, recommended) == 1.0
    assert math.isnan(popularity_bias(recommended, np.full(4, np.nan)))


def test_the_head_is_the_fewest_items_that_make_the_share() -> None:
    assert head_items(np.array([1, 5, 3, 1])).tolist() == [False, True, True, False]
    assert head_items(np.array([1, 5, 2, 2])).tolist() == [False, True, True, True]
    assert head_items(np.array([2, 2, 2, 2]), share=0.5).tolist() == [True, True, False, False]


@hypothesis_settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0.5, 5), st.floats(0.5, 5)), min_size=1))
def test_rating_metrics_are_those_of_torchmetrics(pairs: list[tuple[float, float]]) -> None:
    predicted, true = np.array(pairs).T
    measured = rating_metrics(predicted, true)
    both = torch.from_numpy(predicted.copy()), torch.from_numpy(true.copy())
    assert measured["RMSE"] == pytest.approx(float(mean_squared_error(*both, squared=False)))
    assert measured["MAE"] == pytest.approx(float(mean_absolute_error(*both)))
    assert measured["RMSE"] >= measured["MAE"] * (1 - 1e-12)


def test_rating_metrics_by_hand() -> None:
    measured = rating_metrics(np.array([3.0, 5.0], dtype=np.float32), np.array([4.0, 2.0]))
    assert measured == pytest.approx({"RMSE": math.sqrt(5), "MAE": 2.0})


@pytest.mark.parametrize(
    ("predicted", "true", "message"),
    [
        ([], [], "at least one"),
        ([1.0], [1.0, 2.0], "one for each"),
        ([[1.0]], [1.0], "one for each"),
        ([math.nan, 1.0], [1.0, 1.0], "1 pairs .* not finite"),
    ],
)
def test_ratings_that_cannot_be_compared_are_refused(predicted, true, message) -> None:
    with pytest.raises(ValueError, match=message):
        rating_metrics(np.array(predicted), np.array(true))
