"""What every index promises, exact or not."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np
import pytest

from engine.errors import BundleError
from engine.index import VectorIndex
from engine.index_build import IndexBuild
from engine.index_plan import IndexPlan
from engine.index_settings import IndexKind, IndexSettings
from engine.inverted_index import InvertedIndex
from engine.opened_index import opened_index
from engine.row_set import RowSet
from engine.search_index import SearchIndex
from engine.vector_table import CompactTable, Table, VectorType

RANDOM = np.random.default_rng(0)
VECTORS = RANDOM.normal(size=(500, 8)).astype(np.float32)
QUERIES = RANDOM.normal(size=(20, 8)).astype(np.float32)


def exact(k: int, allowed: np.ndarray | None = None) -> np.ndarray:
    scores = QUERIES @ VECTORS.T
    if allowed is not None:
        scores = np.where(allowed, scores, -np.inf)
    return np.argsort(-scores, axis=1)[:, :k]


class RetrieverContract(ABC):
    """Subclass with one fixture and inherit the tests."""

    recall = 1.0
    vectors: Table = VECTORS

    @pytest.fixture(scope="class")
    @classmethod
    @abstractmethod
    def retriever(cls) -> SearchIndex: ...

    def recalled(self, found: np.ndarray, wanted: np.ndarray) -> float:
        return float(np.mean([len(set(a) & set(b)) / len(b) for a, b in zip(found, wanted, strict=True)]))

    def test_it_finds_the_best_items_best_first(self, retriever: SearchIndex) -> None:
        indices, scores = retriever.search(QUERIES, 10)
        assert indices.shape == scores.shape == (20, 10)
        assert self.recalled(indices, exact(10)) >= self.recall
        assert (np.diff(scores, axis=1) <= 0).all()
        np.testing.assert_allclose(scores[:, 0], (QUERIES @ VECTORS.T).max(axis=1), rtol=1e-5)

    def test_it_never_returns_what_is_not_allowed(self, retriever: SearchIndex) -> None:
        allowed = np.arange(500) % 3 == 0
        indices, _ = retriever.search(QUERIES, 10, RowSet.of(~allowed))
        assert allowed[indices].all()
        assert self.recalled(indices, exact(10, allowed)) >= self.recall

    def test_fewer_items_than_wanted_leave_minus_one(self, retriever: SearchIndex) -> None:
        indices, _ = retriever.search(QUERIES, 10, RowSet.of(np.arange(500) >= 4))
        assert (np.sort(indices, axis=1)[:, -4:] == np.arange(4)).all()
        assert ((indices == -1).sum(axis=1) == 6).all()

    def test_more_than_all_is_all(self, retriever: SearchIndex) -> None:
        indices, _ = retriever.search(QUERIES[:1], 900)
        assert indices.shape == (1, 500)

    def test_hardly_anything_allowed_is_found_whole(self, retriever: SearchIndex) -> None:
        allowed = np.arange(500) % 50 == 7
        indices, scores = retriever.search(QUERIES, 10, RowSet.of(~allowed))
        np.testing.assert_array_equal(indices, exact(10, allowed))
        assert (np.diff(scores, axis=1) <= 0).all()

    def test_nothing_allowed_is_nothing_found(self, retriever: SearchIndex) -> None:
        indices, scores = retriever.search(QUERIES[:2], 5, RowSet.of(np.ones(500, dtype=bool)))
        assert (indices == -1).all()
        assert (scores == -np.inf).all()

    def test_a_batch_is_each_alone(self, retriever: SearchIndex) -> None:
        together = retriever.search(QUERIES, 10)[0]
        alone = np.concatenate([retriever.search(query[None], 10)[0] for query in QUERIES])
        np.testing.assert_array_equal(together, alone)

    def test_what_comes_later_is_found_beside_the_rest(self, retriever: SearchIndex) -> None:
        more = np.random.default_rng(5).normal(size=(30, 8)).astype(np.float32)
        # Long ones of one length: nothing has a higher product with such a vector than it has itself.
        more *= 10 / np.linalg.norm(more, axis=1, keepdims=True)
        first = retriever.extended(np.arange(501, 521), more[:20], lambda: False)
        assert first is not None
        again = first.extended(np.arange(521, 531), more[20:], lambda: False)
        assert again is not None
        assert (len(retriever), len(first), len(again)) == (500, 520, 530)
        indices, scores = again.search(more, 3, RowSet.of(np.arange(500) < 5))
        assert (indices[:, 0] == np.arange(501, 531)).all()
        np.testing.assert_allclose(scores[:, 0], 100, rtol=1e-5)
        assert (indices >= 5).all()

    def test_work_that_became_unwanted_gives_nothing(self, retriever: SearchIndex) -> None:
        more = retriever.extended(np.arange(501, 521), VECTORS[:20], lambda: False)
        assert more is not None
        assert more.extended(np.arange(521, 541), VECTORS[:20], lambda: True) is None

    def test_saved_and_opened_it_answers_alike(self, retriever: SearchIndex, tmp_path: Path) -> None:
        retriever.save(tmp_path / "index.faiss")
        query_map = retriever.query_map if isinstance(retriever, InvertedIndex) else None
        again = opened_index(tmp_path / "index.faiss", self.vectors, retriever.settings, query_map)
        assert again.settings == retriever.settings
        np.testing.assert_array_equal(again.search(QUERIES, 10)[0], retriever.search(QUERIES, 10)[0])


class TestFlat(RetrieverContract):
    @pytest.fixture(scope="class")
    @classmethod
    def retriever(cls) -> VectorIndex:
        return VectorIndex.build(VECTORS)

    def test_it_is_exact(self, retriever: SearchIndex) -> None:
        np.testing.assert_array_equal(retriever.search(QUERIES, 50)[0], exact(50))


class TestHnsw(RetrieverContract):
    recall = 0.95

    @pytest.fixture(scope="class")
    @classmethod
    def retriever(cls) -> VectorIndex:
        index = VectorIndex.build(VECTORS, exact_up_to=100)
        assert index.kind == "hnsw"
        return index


def inverted(kind: IndexKind, vectors: Table = VECTORS) -> InvertedIndex:
    plan = IndexPlan.of(500, 8, kind=kind, exact_up_to=20)
    built = IndexBuild(vectors, plan).run()
    assert isinstance(built, InvertedIndex)
    settings = IndexSettings(kind=kind, width=(3 * plan.lists) // 4, candidates=60, k=10)
    return InvertedIndex(built._index, built._projection, vectors, settings, exact_up_to=20)


class TestBytes(RetrieverContract):
    recall = 0.95

    @pytest.fixture(scope="class")
    @classmethod
    def retriever(cls) -> SearchIndex:
        return inverted("ivf")


class TestHalfBytes(RetrieverContract):
    recall = 0.95

    @pytest.fixture(scope="class")
    @classmethod
    def retriever(cls) -> SearchIndex:
        return inverted("ivfpq")


@pytest.mark.parametrize("kind", ["float16", "int8"])
def test_scores_are_those_of_the_table(kind: VectorType) -> None:
    table = CompactTable.of(VECTORS, kind)
    indices, scores = inverted("ivf", table).search(QUERIES, 10)
    wanted = np.einsum("bkv,bv->bk", np.asarray(table)[indices], QUERIES)
    np.testing.assert_allclose(scores, wanted, rtol=1e-5)
    assert np.mean([np.isin(*pair).mean() for pair in zip(indices, exact(10), strict=True)]) > 0.9


@pytest.mark.parametrize("kind", ["ivf", "ivfpq"])
def test_two_builds_of_one_seed_are_alike(kind: IndexKind) -> None:
    one, other = inverted(kind), inverted(kind)
    np.testing.assert_array_equal(one.search(QUERIES, 30)[0], other.search(QUERIES, 30)[0])


def test_a_file_that_is_no_index_is_named(tmp_path: Path) -> None:
    (tmp_path / "index.faiss").write_bytes(b"not an index")
    with pytest.raises(BundleError, match=r"index\.faiss"):
        VectorIndex.open(tmp_path / "index.faiss", *VECTORS.shape)
