"""What every index promises, exact or not."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np
import pytest

from engine.errors import BundleError
from engine.index import VectorIndex
from engine.row_set import RowSet

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

    @pytest.fixture(scope="class")
    @classmethod
    @abstractmethod
    def retriever(cls) -> VectorIndex: ...

    def recalled(self, found: np.ndarray, wanted: np.ndarray) -> float:
        return float(np.mean([len(set(a) & set(b)) / len(b) for a, b in zip(found, wanted, strict=True)]))

    def test_it_finds_the_best_items_best_first(self, retriever: VectorIndex) -> None:
        indices, scores = retriever.search(QUERIES, 10)
        assert indices.shape == scores.shape == (20, 10)
        assert self.recalled(indices, exact(10)) >= self.recall
        assert (np.diff(scores, axis=1) <= 0).all()
        np.testing.assert_allclose(scores[:, 0], (QUERIES @ VECTORS.T).max(axis=1), rtol=1e-5)

    def test_it_never_returns_what_is_not_allowed(self, retriever: VectorIndex) -> None:
        allowed = np.arange(500) % 3 == 0
        indices, _ = retriever.search(QUERIES, 10, RowSet.of(~allowed))
        assert allowed[indices].all()
        assert self.recalled(indices, exact(10, allowed)) >= self.recall

    def test_fewer_items_than_wanted_leave_minus_one(self, retriever: VectorIndex) -> None:
        indices, _ = retriever.search(QUERIES, 10, RowSet.of(np.arange(500) >= 4))
        assert (np.sort(indices, axis=1)[:, -4:] == np.arange(4)).all()
        assert ((indices == -1).sum(axis=1) == 6).all()

    def test_more_than_all_is_all(self, retriever: VectorIndex) -> None:
        indices, _ = retriever.search(QUERIES[:1], 900)
        assert indices.shape == (1, 500)

    def test_saved_and_opened_it_answers_alike(self, retriever: VectorIndex, tmp_path: Path) -> None:
        retriever.save(tmp_path / "index.faiss")
        again = VectorIndex.open(tmp_path / "index.faiss", *VECTORS.shape)
        assert again.kind == retriever.kind
        np.testing.assert_array_equal(again.search(QUERIES, 10)[0], retriever.search(QUERIES, 10)[0])


class TestFlat(RetrieverContract):
    @pytest.fixture(scope="class")
    @classmethod
    def retriever(cls) -> VectorIndex:
        return VectorIndex.build(VECTORS)

    def test_it_is_exact(self, retriever: VectorIndex) -> None:
        np.testing.assert_array_equal(retriever.search(QUERIES, 50)[0], exact(50))


class TestHnsw(RetrieverContract):
    recall = 0.95

    @pytest.fixture(scope="class")
    @classmethod
    def retriever(cls) -> VectorIndex:
        index = VectorIndex.build(VECTORS, exact_up_to=100)
        assert index.kind == "hnsw"
        return index


def test_a_file_that_is_no_index_is_named(tmp_path: Path) -> None:
    (tmp_path / "index.faiss").write_bytes(b"not an index")
    with pytest.raises(BundleError, match=r"index\.faiss"):
        VectorIndex.open(tmp_path / "index.faiss", *VECTORS.shape)
