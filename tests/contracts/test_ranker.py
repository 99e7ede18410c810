"""What every ranker promises: a network in training, and the same network exported."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace

import exported
import numpy as np
import pytest
import torch

from engine.features import Candidates
from engine.item_vectors import ItemVectors
from engine.items import ItemTable
from engine.network_check import check_network
from engine.ranking import HISTORY, NetworkRanker, Ranker, rerank
from engine.runtime import Network
from engine.window import IndexBatch
from models import RANKERS
from training.torch_stages import TorchRanker

FEATURES = ("retrieval_score", "retrieval_rank", "popularity", "recency")
LENGTHS = np.array([4, 1, 7, 2, 0, 3, 7, 5, 6])
READING = sorted(name for name, network in RANKERS.items() if network.reads_history)
each_network = pytest.mark.parametrize("name", sorted(RANKERS))


def history(lengths: np.ndarray, padding: int = 0) -> IndexBatch:
    """Random events of eight items; each row depends on its own number and length only."""
    width = max(int(lengths.max()), 1) + padding
    indices = np.full((len(lengths), width), 8)
    values, ages = np.zeros((2, len(lengths), width), dtype=np.float32)
    for row, length in enumerate(lengths):
        random = np.random.default_rng(row)
        indices[row, :length] = random.integers(0, 8, length)
        values[row, :length] = random.random(length)
        ages[row, :length] = np.sort(random.random(length) * 10)[::-1]
    return IndexBatch(indices, values, ages, lengths)


def candidates(rows: int, columns: int = 6, padding: int = 0) -> Candidates:
    random = np.random.default_rng(5)
    indices = np.stack([random.permutation(8)[:6] for _ in range(9)])[:rows, :columns]
    scores = -np.sort(random.random((9, 6)).astype(np.float32), axis=1)[:rows, :columns]
    users = random.normal(size=(9, 4)).astype(np.float32)[:rows]
    return Candidates(history(LENGTHS[:rows], padding), users, indices, scores)


class RankerContract(ABC):
    """Subclass with one fixture and inherit the tests."""

    @pytest.fixture
    @abstractmethod
    def ranker(self, name: str, items: ItemTable, vectors: ItemVectors) -> Ranker: ...

    @each_network
    def test_it_gives_one_finite_score_a_candidate(self, ranker: Ranker) -> None:
        scores = ranker.rank(candidates(9)).scores
        assert scores.shape == (9, 6)
        assert scores.dtype == np.float32
        assert np.isfinite(scores).all()
        assert len(np.unique(scores)) > 40

    @each_network
    def test_batch_mates_padding_and_further_candidates_change_nothing(self, ranker: Ranker) -> None:
        whole = ranker.rank(candidates(9)).scores
        np.testing.assert_allclose(ranker.rank(candidates(1)).scores, whole[:1], atol=1e-5)
        np.testing.assert_allclose(ranker.rank(candidates(9, 3)).scores, whole[:, :3], atol=1e-5)
        np.testing.assert_allclose(ranker.rank(candidates(9, padding=5)).scores, whole, atol=1e-5)

    @each_network
    def test_reranking_sorts_and_keeps_each_candidate_s_own(self, ranker: Ranker) -> None:
        given = replace(
            candidates(9),
            further={"other": 10.0 + candidates(9).indices.astype(np.float32)},
            proposed={"other": candidates(9).indices % 2 == 0},
        )
        found = rerank(ranker, given)
        assert (np.diff(found.scores, axis=1) <= 0).all()
        assert (np.diff(found.scores, axis=1) < 0).any()
        assert (np.sort(found.indices, axis=1) == np.sort(given.indices, axis=1)).all()
        assert (found.indices != given.indices).any()
        np.testing.assert_array_equal(found.further["other"], 10.0 + found.indices)
        np.testing.assert_array_equal(found.proposed["other"], found.indices % 2 == 0)
        scores = ranker.rank(given).scores
        for row in range(9):
            order = [given.indices[row].tolist().index(item) for item in found.indices[row]]
            np.testing.assert_array_equal(found.scores[row], scores[row][order])

    @each_network
    def test_places_without_a_candidate_come_last(self, ranker: Ranker) -> None:
        given = candidates(9)
        given.indices[:, :2] = -1
        found = rerank(ranker, given)
        assert (found.indices[:, 4:] == -1).all()
        assert (found.indices[:, :4] >= 0).all()
        assert np.isneginf(found.scores[:, 4:]).all()

    @pytest.mark.parametrize("name", READING)
    def test_attention_is_shared_out_over_the_real_events(self, ranker: Ranker) -> None:
        attention = ranker.rank(candidates(9, padding=2)).attention
        assert attention is not None
        assert attention.shape == (9, 6, 9)
        assert (attention >= 0).all()
        np.testing.assert_allclose(
            attention.sum(axis=2), np.where(LENGTHS > 0, 1.0, 0.0)[:, None] * np.ones(6), atol=1e-5
        )
        assert not attention[np.broadcast_to(np.arange(9) >= LENGTHS[:, None, None], attention.shape)].any()

    @pytest.mark.parametrize("name", READING)
    def test_the_history_counts_but_for_what_is_older_than_fifty_events(self, ranker: Ranker) -> None:
        given = replace(candidates(1), rows=history(np.array([HISTORY + 12])))
        before = ranker.rank(given)
        assert before.attention is not None
        assert before.attention.shape == (1, 6, HISTORY)
        given.rows.indices[0, :12] = (given.rows.indices[0, :12] + 1) % 8
        np.testing.assert_array_equal(ranker.rank(given).scores, before.scores)
        given.rows.indices[0, 12:20] = (given.rows.indices[0, 12:20] + 1) % 8
        assert np.abs(ranker.rank(given).scores - before.scores).max() > 1e-5


class TestTorchRanker(RankerContract):
    @pytest.fixture
    def ranker(self, name: str, items: ItemTable, vectors: ItemVectors) -> Ranker:
        return TorchRanker(exported.ranker(name), FEATURES, items, vectors, "cpu")


class TestNetworkRanker(RankerContract):
    @pytest.fixture
    def ranker(self, name: str, items: ItemTable, vectors: ItemVectors) -> Ranker:
        return NetworkRanker(Network(exported.exported_ranker(name), name), FEATURES, items, vectors)

    @each_network
    def test_a_bundle_may_hold_it(self, name: str) -> None:
        check_network(exported.exported_ranker(name), name)

    @each_network
    def test_it_computes_what_the_network_in_training_computes(
        self, ranker: Ranker, items: ItemTable, vectors: ItemVectors, name: str
    ) -> None:
        expected = TorchRanker(exported.ranker(name), FEATURES, items, vectors, "cpu").rank(candidates(9))
        found = ranker.rank(candidates(9))
        np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)
        assert (found.attention is None) == (expected.attention is None) == (name not in READING)
        if expected.attention is not None:
            np.testing.assert_allclose(found.attention, expected.attention, atol=1e-5)


@each_network
def test_an_untrained_ranker_keeps_the_first_stage_s_order(name: str, items: ItemTable, vectors: ItemVectors) -> None:
    torch.manual_seed(0)
    untrained = TorchRanker(RANKERS[name](4, len(FEATURES)), FEATURES, items, vectors, "cpu")
    given = candidates(9)
    np.testing.assert_array_equal(rerank(untrained, given).indices, given.indices)
