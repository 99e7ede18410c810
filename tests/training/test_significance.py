"""Intervals and tests of significance: on data whose answer theory knows."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from training import significance
from training.significance import bootstrap_interval, bootstrap_intervals, paired_comparison

VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=50).map(np.array)


def normal(users: int, mean: float = 0.0, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, 1.0, users)


@hypothesis_settings(max_examples=50, deadline=None)
@given(values=VALUES)
def test_an_interval_holds_the_mean_and_stays_within_the_values(values) -> None:
    low, high = bootstrap_interval(values, resamples=200)
    assert low - 1e-12 <= values.mean() <= high + 1e-12
    assert values.min() - 1e-12 <= low
    assert high <= values.max() + 1e-12


def test_an_interval_is_as_wide_as_normal_theory_says_and_shrinks_with_more_users() -> None:
    for users in (100, 400, 6_400):
        values = normal(users)
        low, high = bootstrap_interval(values, resamples=4_000)
        assert high - low == pytest.approx(2 * 1.96 * values.std() / np.sqrt(users), rel=0.06)


def test_a_95_percent_interval_holds_the_truth_in_95_of_100_samples() -> None:
    samples = {str(seed): normal(200, seed=seed) for seed in range(400)}
    intervals = bootstrap_intervals(samples)
    assert 0.91 <= np.mean([low <= 0.0 <= high for low, high in intervals.values()]) <= 0.98


def test_more_confidence_is_a_wider_interval() -> None:
    values = normal(300)
    narrow, wide = bootstrap_interval(values, confidence=0.5), bootstrap_interval(values, confidence=0.99)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_an_interval_depends_on_the_seed_and_on_nothing_else(monkeypatch) -> None:
    values = normal(300)
    interval = bootstrap_interval(values, seed=4)
    assert interval == bootstrap_interval(values, seed=4) != bootstrap_interval(values, seed=5)
    beside = bootstrap_intervals({"other": normal(300, seed=9), "this": values}, seed=4)["this"]
    assert interval == pytest.approx(beside, abs=1e-12)
    monkeypatch.setattr(significance, "DRAWS_AT_ONCE", 1_000)
    assert interval == pytest.approx(bootstrap_interval(values, seed=4), abs=1e-12)


def test_users_without_a_value_do_not_count() -> None:
    values = normal(300, mean=2.0)
    sparse = np.where(np.arange(300) < 40, values, np.nan)
    low, high = bootstrap_interval(sparse)
    assert low < values[:40].mean() < high
    assert high - low == pytest.approx(2 * 1.96 * values[:40].std() / np.sqrt(40), rel=0.15)
    assert bootstrap_intervals({"none": np.full(3, np.nan)}) == {}
    assert bootstrap_intervals({"one": np.array([np.nan, 1.0])}) == {"one": (1.0, 1.0)}


def test_identical_models_do_not_differ() -> None:
    comparison = paired_comparison(normal(50), normal(50))
    assert (comparison.difference, comparison.interval, comparison.p_value) == (0.0, (0.0, 0.0), 1.0)


def test_clearly_different_models_differ() -> None:
    first = normal(400)
    comparison = paired_comparison(first, first - 0.2 + 0.5 * normal(400, seed=2))
    assert comparison.p_value == 1 / 10_001
    assert comparison.difference == pytest.approx(0.2, abs=0.06)
    assert 0 < comparison.interval[0] < comparison.difference < comparison.interval[1]


@hypothesis_settings(max_examples=30, deadline=None)
@given(pairs=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=30))
def test_a_comparison_is_symmetrical(pairs) -> None:
    first, second = np.array(pairs).T
    there, back = (paired_comparison(*both, permutations=500) for both in ((first, second), (second, first)))
    assert there.p_value == back.p_value
    assert there.difference == -back.difference
    assert there.interval == pytest.approx((-back.interval[1], -back.interval[0]), abs=1e-12)
    assert 0 < there.p_value <= 1


def test_the_p_value_is_that_of_all_sign_flips() -> None:
    differences = np.array([0.5, 0.1, 0.3, -0.2, 0.4, 0.2, 0.25, -0.05])
    flips = np.array(list(itertools.product((-1, 1), repeat=8))) @ differences
    exact = np.mean(np.abs(flips) >= differences.sum() - 1e-12)
    comparison = paired_comparison(differences, np.zeros(8), permutations=40_000)
    assert comparison.p_value == pytest.approx(exact, rel=0.05)


def test_models_that_differ_by_chance_seldom_seem_to_differ() -> None:
    p_values = [
        paired_comparison(normal(60, seed=seed), normal(60, seed=seed + 1_000), permutations=500, resamples=10).p_value
        for seed in range(300)
    ]
    assert 0.02 <= np.mean(np.array(p_values) < 0.05) <= 0.08
    assert 0.4 <= np.mean(p_values) <= 0.6


def test_users_whom_either_model_has_no_value_for_do_not_count() -> None:
    comparison = paired_comparison(np.array([1.0, np.nan, 3.0]), np.array([0.0, 1.0, np.nan]))
    assert (comparison.difference, comparison.users, comparison.p_value) == (1.0, 1, 1.0)


def test_a_comparison_is_the_same_in_parts(monkeypatch) -> None:
    first, second = normal(100), normal(100, mean=0.25, seed=2)
    whole = paired_comparison(first, second)
    monkeypatch.setattr(significance, "DRAWS_AT_ONCE", 5_000)
    assert paired_comparison(first, second).p_value == pytest.approx(whole.p_value, rel=0.2)


def test_users_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(ValueError, match="the same users"):
        paired_comparison(np.zeros(2), np.zeros(3))
    with pytest.raises(ValueError, match="no user has a value"):
        paired_comparison(np.array([np.nan]), np.zeros(1))
    with pytest.raises(ValueError, match="no user has a value"):
        bootstrap_interval(np.empty(0))
