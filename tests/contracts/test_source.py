"""What every source of candidates promises."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import pytest

from engine.content_source import ContentSource
from engine.index import VectorIndex
from engine.item_vectors import ItemVectors
from engine.items import ItemTable
from engine.limits import Limits
from engine.neighbour_source import NeighbourSource
from engine.neighbours import NeighbourTable
from engine.popularity_source import PopularitySource
from engine.source import Source
from engine.vector_source import VectorSource
from engine.vocabulary import Vocabulary
from engine.window import HistoryBatch, IndexBatch

ITEMS = 30
each_seed = pytest.mark.parametrize("seed", range(20))


def lengths_of(seed: int) -> list[int]:
    random = np.random.default_rng((seed, 3))
    return random.integers(0, 9, random.integers(1, 6)).tolist()


def depth_of(seed: int) -> int:
    """From one item to more than there are."""
    return 1 + seed * 2


def rows(lengths: list[int], seed: int, padding: int = 0) -> IndexBatch:
    """Random histories; each depends on its own number and length only."""
    width = max(1, *lengths) + padding
    indices = np.full((len(lengths), width), ITEMS)
    values, ages = np.zeros((2, len(lengths), width), dtype=np.float32)
    for row, length in enumerate(lengths):
        random = np.random.default_rng((seed, row))
        indices[row, :length] = random.permutation(ITEMS)[:length]
        values[row, :length] = random.random(length)
        ages[row, :length] = np.sort(random.random(length))[::-1]
    return IndexBatch(indices, values, ages, np.array(lengths))


def excluded(lengths: list[int], seed: int) -> list[np.ndarray]:
    """What each history must not get: of any number, in any order."""
    generators = [np.random.default_rng((seed, row, 7)) for row in range(len(lengths))]
    return [random.permutation(ITEMS)[: random.integers(0, ITEMS)] for random in generators]


class SourceContract(ABC):
    """Subclass with one fixture and inherit the tests."""

    @pytest.fixture(scope="class")
    @classmethod
    @abstractmethod
    def source(cls) -> Source: ...

    def proposable(self, scores: np.ndarray) -> np.ndarray:
        """Which items with these scores the source would propose at all."""
        return np.ones(scores.shape, dtype=bool)

    def test_it_says_what_it_is(self, source: Source) -> None:
        assert source.name == "it"
        assert source.depth == 12

    @each_seed
    def test_it_finds_the_best_that_is_not_excluded_best_first(self, source: Source, seed: int) -> None:
        lengths, depth = lengths_of(seed), depth_of(seed)
        out, reading = excluded(lengths, seed), source.read(rows(lengths, seed))
        indices, scores = source.search(reading, Limits(out), depth)
        assert indices.shape == scores.shape == (len(lengths), depth)
        assert scores.dtype == np.float32
        everything = source.scores(reading, np.tile(np.arange(ITEMS), (len(lengths), 1)))
        for row, unwanted in enumerate(out):
            found = indices[row][indices[row] >= 0]
            assert len(set(found)) == len(found)
            assert not set(found) & set(unwanted)
            allowed = np.setdiff1d(np.flatnonzero(self.proposable(everything[row])), unwanted)
            best = np.sort(everything[row, allowed])[::-1][:depth]
            # Where there are fewer than wanted, -1 stands at the end only.
            assert (indices[row, len(best) :] == -1).all()
            np.testing.assert_allclose(scores[row, : len(best)], best, atol=1e-5)
            assert len(found) == len(best)

    @each_seed
    def test_it_scores_what_it_found_as_it_found_it(self, source: Source, seed: int) -> None:
        lengths, depth = lengths_of(seed), depth_of(seed)
        reading = source.read(rows(lengths, seed))
        indices, found = source.search(reading, Limits(excluded(lengths, seed)), depth)
        scores = source.scores(reading, indices)
        assert scores.shape == indices.shape
        assert scores.dtype == np.float32
        np.testing.assert_allclose(scores[indices >= 0], found[indices >= 0], atol=1e-5)

    @each_seed
    def test_batch_mates_and_padding_change_nothing(self, source: Source, seed: int) -> None:
        lengths, depth = lengths_of(seed), depth_of(seed)
        out = excluded(lengths, seed)
        together = source.search(source.read(rows(lengths, seed, padding=seed % 5)), Limits(out), depth)
        for row in range(len(lengths)):
            single = rows(lengths, seed).only(np.array([row]))
            alone = source.search(source.read(single), Limits(out[row : row + 1]), depth)
            np.testing.assert_array_equal(together[0][row], alone[0][0])
            real = alone[0][0] >= 0
            np.testing.assert_allclose(together[1][row][real], alone[1][0][real], atol=1e-5)

    def test_a_history_without_events_is_no_error(self, source: Source) -> None:
        reading = source.read(rows([0, 3], 0))
        indices, _ = source.search(reading, Limits([np.empty(0, dtype=np.int64)] * 2), 5)
        assert indices.shape == (2, 5)
        assert np.isfinite(source.scores(reading, np.tile(np.arange(ITEMS), (2, 1)))).all()

    def test_with_everything_excluded_it_finds_nothing(self, source: Source) -> None:
        indices, _ = source.search(source.read(rows([3], 0)), Limits([np.arange(ITEMS)]), 5)
        assert (indices == -1).all()


class MeanEncoder:
    """User vector = mean of the history's vectors, weighted by value."""

    def encode(self, batch: HistoryBatch) -> np.ndarray:
        summed = (batch.vectors * (1 + batch.values[..., None])).sum(axis=1)
        return (summed / np.maximum(batch.lengths, 1)[:, None]).astype(np.float32)


class TestVectorSource(SourceContract):
    @pytest.fixture(scope="class")
    @classmethod
    def source(cls) -> Source:
        random = np.random.default_rng(2)
        inputs = np.vstack((random.normal(size=(ITEMS, 4)), np.zeros((1, 4)))).astype(np.float32)
        vectors = ItemVectors(inputs, random.normal(size=(ITEMS, 4)).astype(np.float32))
        return VectorSource("it", vectors, MeanEncoder(), VectorIndex.build(vectors.outputs), 12)

    def test_its_score_is_the_product_of_user_and_output_vector(self, source: VectorSource) -> None:
        reading = source.read(rows([3, 0], 4))
        assert reading.shape == (2, 4)
        assert not reading[1].any()
        candidates = np.array([[4, 9], [1, 2]])
        expected = [source.vectors.outputs[each] @ user for each, user in zip(candidates, reading, strict=True)]
        np.testing.assert_allclose(source.scores(reading, candidates), np.stack(expected), atol=1e-6)


class TestContentSource(SourceContract):
    @pytest.fixture(scope="class")
    @classmethod
    def source(cls) -> Source:
        return ContentSource("it", np.random.default_rng(6).normal(size=(ITEMS, 5)).astype(np.float32), depth=12)


class TestNeighbourSource(SourceContract):
    @pytest.fixture(scope="class")
    @classmethod
    def source(cls) -> Source:
        random = np.random.default_rng(3)
        indices = np.stack([random.permutation(ITEMS)[:6] for _ in range(ITEMS + 1)]).astype(np.int32)
        weights = random.normal(size=(ITEMS + 1, 6)).astype(np.float32)
        # As tables are written: unused places name item 0 and weigh nothing, and so does the padding row.
        indices[::4, 4:], weights[::4, 4:] = 0, 0.0
        indices[ITEMS], weights[ITEMS] = 0, 0.0
        return NeighbourSource("it", NeighbourTable(indices, weights), 12)

    def proposable(self, scores: np.ndarray) -> np.ndarray:
        return scores > 0

    def test_a_history_without_events_has_no_neighbours(self, source: Source) -> None:
        indices, _ = source.search(source.read(rows([0], 0)), Limits([np.empty(0, dtype=np.int64)]), 5)
        assert (indices == -1).all()


class TestPopularitySource(SourceContract):
    @pytest.fixture(scope="class")
    @classmethod
    def source(cls) -> Source:
        counts = np.random.default_rng(4).permutation(ITEMS).astype(np.float32)
        return PopularitySource("it", ItemTable(Vocabulary(map(str, range(ITEMS))), {"popularity": counts}), 12)

    def test_it_gives_everybody_the_same(self, source: Source) -> None:
        indices, scores = source.search(source.read(rows([4, 0], 0)), Limits([np.empty(0, dtype=np.int64)] * 2), ITEMS)
        np.testing.assert_array_equal(indices[0], indices[1])
        assert scores[0].tolist() == list(range(ITEMS))[::-1]
