"""Candidate features and neighbour tables, against slow and obvious versions of themselves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import BundleError
from engine.features import FEATURES, Candidates, candidate_features
from engine.items import ItemTable
from engine.neighbours import NeighbourTable
from engine.vocabulary import Vocabulary
from engine.window import HistoryBatch

ITEMS = 9


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


@settings(max_examples=60)
@given(seed=st.integers(0, 99), lengths=st.lists(st.integers(0, 7), min_size=1, max_size=4))
def test_neighbour_scores_are_sums_of_weights(seed: int, lengths: list[int]) -> None:
    random = np.random.default_rng(seed)
    history = np.full((len(lengths), 7), ITEMS)
    for row, length in enumerate(lengths):
        history[row, :length] = random.integers(0, ITEMS, length)
    candidates = np.stack([random.permutation(ITEMS)[:5] for _ in lengths])
    candidates[0, 3:] = -1
    scores = table(seed).scores(history, candidates)
    whole = dense(table(seed))
    for row in range(len(lengths)):
        for column, candidate in enumerate(candidates[row]):
            expected = whole[history[row], candidate].sum() if candidate >= 0 else 0.0
            assert scores[row, column] == pytest.approx(expected, abs=1e-5)


@pytest.fixture
def nine() -> ItemTable:
    vectors = np.zeros((ITEMS + 1, 2), dtype=np.float32)
    columns = {name: np.arange(ITEMS, dtype=np.float32) for name in ("popularity", "staleness")}
    tables = {"ease": table(1), "cooccurrence": table(2)}
    return ItemTable(Vocabulary(map(str, range(ITEMS))), vectors, vectors[:-1], columns, (), tables)


def candidates_of(lengths: list[int], width: int) -> Candidates:
    indices = np.full((len(lengths), width), ITEMS)
    for row, length in enumerate(lengths):
        indices[row, :length] = np.random.default_rng(row).integers(0, ITEMS, length)
    blank = np.zeros(indices.shape, dtype=np.float32)
    batch = HistoryBatch(indices, np.zeros((*indices.shape, 2), np.float32), blank, blank, np.array(lengths))
    found = np.stack([np.random.default_rng(50 + row).permutation(ITEMS)[:5] for row in range(len(lengths))])
    scores = -np.arange(5, dtype=np.float32) * np.ones((len(lengths), 1), dtype=np.float32)
    return Candidates(batch, np.zeros((len(lengths), 2), np.float32), found, scores)


@pytest.mark.parametrize("name", sorted(FEATURES))
def test_padding_and_batch_mates_change_no_feature(nine: ItemTable, name: str) -> None:
    lengths = [1, 14, 3]
    whole = candidate_features([name], nine, candidates_of(lengths, 14))
    np.testing.assert_allclose(candidate_features([name], nine, candidates_of(lengths, 20)), whole, atol=1e-6)
    np.testing.assert_allclose(candidate_features([name], nine, candidates_of(lengths[:1], 1)), whole[:1], atol=1e-6)


def test_the_newest_ten_are_the_last_ten(nine: ItemTable) -> None:
    candidates = candidates_of([14], 14)
    recent = candidates.batch.indices[0, 4:]
    expected = dense(nine.neighbours["ease"])[recent][:, candidates.indices[0]].sum(0)
    np.testing.assert_allclose(candidate_features(["ease_10"], nine, candidates)[0, :, 0], expected, atol=1e-5)


def test_no_candidate_has_no_features(nine: ItemTable) -> None:
    candidates = candidates_of([3], 3)
    candidates.indices[0, 2:] = -1
    assert not candidate_features(sorted(FEATURES), nine, candidates)[0, 2:].any()


def test_an_unknown_feature_is_named(nine: ItemTable) -> None:
    with pytest.raises(BundleError, match=r"unknown features \['magic'\]"):
        candidate_features(["magic"], nine, candidates_of([1], 1))
