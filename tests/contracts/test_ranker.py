"""What every ranker promises: a network in training, and the same network exported."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import pytest
import torch

from engine.features import Candidates
from engine.items import ItemTable
from engine.ranking import NetworkRanker, Ranker, rerank
from engine.runtime import Network
from engine.window import HistoryBatch
from models import NCF, RANKERS
from training.export import export_ranker
from training.torch_stages import TorchRanker

FEATURES = ("retrieval_score", "retrieval_rank", "popularity", "recency")


def network(name: str) -> NCF:
    torch.manual_seed(3)
    trained = RANKERS[name](4, len(FEATURES)).eval()
    for parameter in trained.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return trained


def candidates(rows: int, columns: int = 6) -> Candidates:
    random = np.random.default_rng(5)
    indices = np.stack([random.permutation(8)[:6] for _ in range(9)])[:rows, :columns]
    scores = -np.sort(random.random((9, 6)).astype(np.float32), axis=1)[:rows, :columns]
    vectors = random.normal(size=(9, 4)).astype(np.float32)[:rows]
    blank = np.zeros((rows, 1), dtype=np.float32)
    history = HistoryBatch(
        np.zeros((rows, 1), dtype=np.int64), blank[..., None].repeat(4, 2), blank, blank, np.ones(rows, dtype=np.int64)
    )
    return Candidates(history, vectors, indices, scores)


class RankerContract(ABC):
    """Subclass with one fixture and inherit the tests."""

    @pytest.fixture(params=sorted(RANKERS))
    @abstractmethod
    def ranker(self, request: pytest.FixtureRequest, items: ItemTable) -> Ranker: ...

    def test_it_gives_one_finite_score_a_candidate(self, ranker: Ranker) -> None:
        scores = ranker.scores(candidates(9))
        assert scores.shape == (9, 6)
        assert np.isfinite(scores).all()
        assert len(np.unique(scores)) > 40

    def test_batch_mates_and_further_candidates_change_nothing(self, ranker: Ranker) -> None:
        whole = ranker.scores(candidates(9))
        np.testing.assert_allclose(ranker.scores(candidates(1)), whole[:1], atol=1e-5)
        np.testing.assert_allclose(ranker.scores(candidates(9, 3)), whole[:, :3], atol=1e-5)

    def test_reranking_sorts_the_head_and_keeps_the_tail(self, ranker: Ranker) -> None:
        given = candidates(9)
        indices, scores = rerank(ranker, given, depth=4)
        assert (np.diff(scores, axis=1) <= 1e-6).all()
        assert (np.sort(indices[:, :4], axis=1) == np.sort(given.indices[:, :4], axis=1)).all()
        np.testing.assert_array_equal(indices[:, 4:], given.indices[:, 4:])

    def test_places_without_a_candidate_come_last(self, ranker: Ranker) -> None:
        given = candidates(9)
        given.indices[:, 4:] = -1
        indices, scores = rerank(ranker, given, depth=6)
        assert (indices[:, 4:] == -1).all()
        assert np.isneginf(scores[:, 4:]).all()


class TestTorchRanker(RankerContract):
    @pytest.fixture(params=sorted(RANKERS))
    def ranker(self, request: pytest.FixtureRequest, items: ItemTable) -> Ranker:
        return TorchRanker(network(request.param), FEATURES, items, "cpu")


class TestNetworkRanker(RankerContract):
    @pytest.fixture(params=sorted(RANKERS))
    def ranker(self, request: pytest.FixtureRequest, items: ItemTable) -> Ranker:
        exported = export_ranker(network(request.param), 4, len(FEATURES))
        return NetworkRanker(Network(exported, "ranker.onnx"), FEATURES, items)

    @pytest.mark.parametrize("name", sorted(RANKERS))
    def test_it_computes_what_the_network_in_training_computes(
        self, ranker: Ranker, items: ItemTable, name: str
    ) -> None:
        expected = TorchRanker(network(name), FEATURES, items, "cpu").scores(candidates(9))
        np.testing.assert_allclose(ranker.scores(candidates(9)), expected, atol=1e-5)


@pytest.mark.parametrize("name", sorted(RANKERS))
def test_an_untrained_ranker_keeps_the_first_stage_s_order(name: str, items: ItemTable) -> None:
    untrained = TorchRanker(RANKERS[name](4, len(FEATURES)), FEATURES, items, "cpu")
    given = candidates(9)
    np.testing.assert_array_equal(rerank(untrained, given, depth=6)[0], given.indices)
