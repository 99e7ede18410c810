"""Candidate features and neighbour tables, against slow and obvious versions of themselves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import BundleError
from engine.features import FEATURES, TABLES, Candidates, candidate_features, tables_of
from engine.items import ItemTable
from engine.neighbours import NeighbourTable
from engine.vocabulary import Vocabulary
from engine.window import IndexBatch

ITEMS = 9
OF_FURTHER = ["other_score", "other_rank"]


def table(seed: int) -> NeighbourTable:
    random = np.random.default_rng(seed)
    indices = np.stack([random.permutation(ITEMS)[:4] for _ in range(ITEMS + 1)]).astype(np.int32)
    weights = random.normal(size=(ITEMS + 1, 4)).astype(np.float32)
    weights[-1] = 0
    return NeighbourTable(indices, weights)


def dense(neighbours: NeighbourTable) -> np.ndarray:
    whole = np.zeros((ITEMS + 1, ITEMS))
    for item in range(ITEMS):
        whole[item, neighbours.indices[item]] = neighbours.weights[item]
    return whole


def padded(lengths: list[int], seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    history = np.full((len(lengths), 7), ITEMS)
    for row, length in enumerate(lengths):
        history[row, :length] = random.integers(0, ITEMS, length)
    return history


@settings(max_examples=60)
@given(seed=st.integers(0, 99), lengths=st.lists(st.integers(0, 7), min_size=1, max_size=4))
def test_neighbour_scores_are_sums_of_weights(seed: int, lengths: list[int]) -> None:
    history = padded(lengths, seed)
    random = np.random.default_rng(seed)
    candidates = np.stack([random.permutation(ITEMS)[:5] for _ in lengths])
    candidates[0, 3:] = -1
    scores = table(seed).scores(history, candidates)
    whole = dense(table(seed))
    for row in range(len(lengths)):
        for column, candidate in enumerate(candidates[row]):
            expected = whole[history[row], candidate].sum() if candidate >= 0 else 0.0
            assert scores[row, column] == pytest.approx(expected, abs=1e-5)


@settings(max_examples=60)
@given(seed=st.integers(0, 99), length=st.integers(0, 7))
def test_all_that_neighbours_a_history_is_met_with_its_sum(seed: int, length: int) -> None:
    history = padded([length], seed)[0]
    met, sums = table(seed).sums(history)
    assert len(set(met.tolist())) == len(met)
    found = np.zeros(ITEMS)
    found[met] = sums
    np.testing.assert_allclose(found, dense(table(seed))[history].sum(axis=0), atol=1e-5)


@pytest.fixture
def nine() -> ItemTable:
    columns = {name: np.arange(ITEMS, dtype=np.float32) for name in ("popularity", "staleness")}
    tables = {name: table(seed) for seed, name in enumerate(TABLES)}
    return ItemTable(Vocabulary(map(str, range(ITEMS))), columns, (), tables)


def candidates_of(lengths: list[int], width: int) -> Candidates:
    indices = np.full((len(lengths), width), ITEMS)
    for row, length in enumerate(lengths):
        indices[row, :length] = np.random.default_rng(row).integers(0, ITEMS, length)
    blank = np.zeros(indices.shape, dtype=np.float32)
    rows = IndexBatch(indices, blank, blank, np.array(lengths))
    found = np.stack([np.random.default_rng(50 + row).permutation(ITEMS)[:5] for row in range(len(lengths))])
    scores = -np.arange(5, dtype=np.float32) * np.ones((len(lengths), 1), dtype=np.float32)
    other = np.stack([np.random.default_rng(90 + row).normal(size=5) for row in range(len(lengths))])
    empty = np.zeros((len(lengths), 2), np.float32)
    return Candidates(rows, empty, found, scores, {"other": other.astype(np.float32)})


@pytest.mark.parametrize("name", sorted(FEATURES) + OF_FURTHER)
def test_padding_and_batch_mates_change_no_feature(nine: ItemTable, name: str) -> None:
    lengths = [1, 14, 3]
    whole = candidate_features([name], nine, candidates_of(lengths, 14))
    np.testing.assert_allclose(candidate_features([name], nine, candidates_of(lengths, 20)), whole, atol=1e-6)
    np.testing.assert_allclose(candidate_features([name], nine, candidates_of(lengths[:1], 1)), whole[:1], atol=1e-6)


@pytest.mark.parametrize(
    ("name", "model", "newest"),
    [("ease_10", "ease", 10), ("item_knn_10", "item_knn", 10), ("cooccurrence_3", "cooccurrence", 3)],
)
def test_the_newest_events_are_the_last_ones(nine: ItemTable, name: str, model: str, newest: int) -> None:
    candidates = candidates_of([14], 14)
    recent = candidates.rows.indices[0, 14 - newest :]
    expected = dense(nine.neighbours[model])[recent][:, candidates.indices[0]].sum(0)
    np.testing.assert_allclose(candidate_features([name], nine, candidates)[0, :, 0], expected, atol=1e-5)


def test_the_scores_of_sources_are_distances_to_their_best(nine: ItemTable) -> None:
    candidates = candidates_of([3, 5], 5)
    first, other = np.moveaxis(candidate_features(["retrieval_score", "other_score"], nine, candidates), 2, 0)
    np.testing.assert_allclose(first, candidates.scores - candidates.scores.max(axis=1, keepdims=True))
    expected = candidates.further["other"] - candidates.further["other"].max(axis=1, keepdims=True)
    np.testing.assert_allclose(other, expected, atol=1e-6)


def test_the_rank_in_a_further_source_counts_candidates_only(nine: ItemTable) -> None:
    candidates = candidates_of([3], 3)
    candidates.further["other"][0] = [9.0, -1.0, 3.0, 2.0, 5.0]
    ranks = candidate_features(["other_rank"], nine, candidates)[0, :, 0]
    np.testing.assert_allclose(ranks, np.log1p([0, 4, 2, 3, 1]), rtol=1e-6)
    candidates.indices[0, 0] = -1
    ranks = candidate_features(["other_rank"], nine, candidates)[0, :, 0]
    np.testing.assert_allclose(ranks, np.log1p([0, 3, 1, 2, 0]), rtol=1e-6)


def test_no_candidate_has_no_features(nine: ItemTable) -> None:
    candidates = candidates_of([3], 3)
    candidates.indices[0, 2:] = -1
    features = candidate_features(sorted(FEATURES) + OF_FURTHER, nine, candidates)
    assert not features[0, 2:].any()
    assert np.isfinite(features).all()
    nothing = replace(candidates, indices=np.full((1, 5), -1))
    assert not candidate_features(sorted(FEATURES) + OF_FURTHER, nine, nothing).any()


def test_an_unknown_feature_is_named(nine: ItemTable) -> None:
    with pytest.raises(BundleError, match=r"unknown features \['magic', 'stranger_score'\].*'other_score'"):
        candidate_features(["magic", "stranger_score", "ease"], nine, candidates_of([1], 1))


def test_only_the_tables_that_features_read_are_counted() -> None:
    assert tables_of(["retrieval_score", "ease_10", "ease", "cooccurrence_3"]) == {"ease", "cooccurrence"}
    assert tables_of(["popularity", "other_score"]) == set()
    assert tables_of(FEATURES) == set(TABLES)
