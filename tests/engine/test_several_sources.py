"""Several sources at once: one list of candidates without repeats, in the first source's order, with reasons."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.events import Event, History
from engine.features import Candidates
from engine.index import VectorIndex
from engine.item_vectors import ItemVectors
from engine.items import ItemTable
from engine.limits import Limits
from engine.neighbour_source import NeighbourSource
from engine.neighbours import NeighbourTable
from engine.popularity_source import PopularitySource
from engine.query import Query
from engine.ranking import Ranked
from engine.recommendation import Recommendation
from engine.recommender import Recommender
from engine.source import Source
from engine.vector_source import VectorSource
from engine.vocabulary import Vocabulary
from engine.window import HistoryBatch, HistoryWindow

ITEMS = 40
NAMES = ("first", "ease", "popularity", "second")
SEEN = st.lists(st.integers(0, ITEMS - 1), min_size=1, max_size=9, unique=True)
SETTINGS = settings(max_examples=40, deadline=None)


class MeanEncoder:
    """User vector = mean of the history's vectors: no network is needed to test the path around it."""

    def encode(self, batch: HistoryBatch) -> np.ndarray:
        return (batch.vectors.sum(1) / np.maximum(batch.lengths, 1)[:, None]).astype(np.float32)


class OddFirst:
    """A ranker that prefers odd items, and of those the last."""

    def rank(self, candidates: Candidates) -> Ranked:
        return Ranked((candidates.indices % 2 * 100 + candidates.indices).astype(np.float32))


def vector_source(name: str, seed: int, depth: int) -> VectorSource:
    random = np.random.default_rng(seed)
    inputs = np.vstack((random.normal(size=(ITEMS, 5)), np.zeros((1, 5)))).astype(np.float32)
    vectors = ItemVectors(inputs, random.normal(size=(ITEMS, 5)).astype(np.float32))
    return VectorSource(name, vectors, MeanEncoder(), VectorIndex.build(vectors.outputs), depth)


@pytest.fixture(scope="module")
def catalogue() -> ItemTable:
    random = np.random.default_rng(0)
    indices = np.stack([random.permutation(ITEMS)[:5] for _ in range(ITEMS + 1)]).astype(np.int32)
    weights = random.normal(size=(ITEMS + 1, 5)).astype(np.float32)
    weights[ITEMS] = 0
    counts = {"popularity": random.permutation(ITEMS).astype(np.float32)}
    return ItemTable(Vocabulary(map(str, range(ITEMS))), counts, (), {"ease": NeighbourTable(indices, weights)})


def sources_of(catalogue: ItemTable, depths: Sequence[int]) -> list[Source]:
    return [
        vector_source("first", 1, depths[0]),
        NeighbourSource("ease", catalogue.neighbours["ease"], depths[1]),
        PopularitySource("popularity", catalogue, depths[2]),
        vector_source("second", 2, depths[3]),
    ]


@pytest.fixture(scope="module")
def reranked(catalogue: ItemTable) -> Recommender:
    return Recommender(catalogue, HistoryWindow(), sources_of(catalogue, (6, 4, 3, 5)), ranker=OddFirst())


def walk(seen: Sequence[int]) -> History:
    return History(tuple(Event("u", str(item), "rating", 4.0, 1_000.0 * step) for step, item in enumerate(seen)))


def ids(answer: Recommendation) -> list[int]:
    return [int(item.item_id) for item in answer.items]


def alone(recommender: Recommender, source: Source, seen: list[int], depth: int) -> list[int]:
    """What a source proposes on its own."""
    rows = recommender.window.newest(recommender.window.columns([walk(seen)], recommender.items), ITEMS)
    indices, _ = source.search(source.read(rows), Limits([np.array(seen)]), depth)
    return [index for index in indices[0].tolist() if index >= 0]


@SETTINGS
@given(seen=SEEN)
def test_candidates_are_all_that_any_source_proposes_once(reranked: Recommender, seen: list[int]) -> None:
    found = reranked.candidates_for([walk(seen)])
    indices = found.indices[0][found.indices[0] >= 0].tolist()
    proposals = {each.name: alone(reranked, each, seen, each.depth) for each in reranked.sources}
    assert len(indices) == len(set(indices))
    assert set(indices) == set().union(*proposals.values())
    assert not set(indices) & set(seen)
    for name, own in proposals.items():
        assert {index for index, by in zip(found.indices[0], found.proposed[name][0], strict=True) if by} == set(own)
    assert tuple(found.proposed) == NAMES
    assert tuple(found.further) == NAMES[1:]


@SETTINGS
@given(seen=SEEN)
def test_the_first_source_gives_the_order_and_each_its_scores(reranked: Recommender, seen: list[int]) -> None:
    found = reranked.candidates_for([walk(seen)])
    first, *others = reranked.sources
    real = found.indices[0] >= 0
    indices = found.indices[0][real]
    assert indices[: first.depth].tolist() == alone(reranked, first, seen, first.depth)
    everything = alone(reranked, first, seen, ITEMS)
    places = [everything.index(index) for index in indices]
    assert places == sorted(places)
    assert (np.diff(found.scores[0][real]) <= 0).all()
    np.testing.assert_allclose(found.scores[0][real], first.scores(first.read(found.rows), indices[None])[0], atol=1e-5)
    for each in others:
        expected = each.scores(each.read(found.rows), indices[None])[0]
        np.testing.assert_allclose(found.further[each.name][0][real], expected, atol=1e-5)


@SETTINGS
@given(batch=st.lists(SEEN, min_size=2, max_size=5))
def test_batch_mates_change_no_candidate(reranked: Recommender, batch: list[list[int]]) -> None:
    together = reranked.candidates_for([walk(seen) for seen in batch])
    for row, seen in enumerate(batch):
        single = reranked.candidates_for([walk(seen)])
        width = single.indices.shape[1]
        np.testing.assert_array_equal(together.indices[row, :width], single.indices[0])
        assert (together.indices[row, width:] == -1).all()
        for name in NAMES:
            np.testing.assert_array_equal(together.proposed[name][row, :width], single.proposed[name][0])


@SETTINGS
@given(seen=SEEN, n=st.integers(1, ITEMS + 5))
def test_a_ranker_orders_them_and_reasons_name_who_proposed(reranked: Recommender, seen: list[int], n: int) -> None:
    answer = reranked.recommend([Query(walk(seen), n)])[0]
    found, unseen = ids(answer), ITEMS - len(seen)
    assert answer.source == "rerank"
    assert len(found) == len(set(found)) == min(n, unseen)
    assert not set(found) & set(seen)
    scores = [item.score for item in answer.items]
    assert scores == sorted(scores, reverse=True)
    proposals = {each.name: alone(reranked, each, seen, each.depth) for each in reranked.sources}
    union = set().union(*proposals.values())
    assert found[: len(union)] == sorted(union, key=lambda item: (item % 2, item), reverse=True)[:n]
    for item, index in zip(answer.items[: len(union)], found, strict=False):
        assert item.reason == tuple(name for name in NAMES if index in proposals[name])
    # What lies beyond all proposals comes from the first source, which knows the order of everything.
    beyond = [index for index in alone(reranked, reranked.sources[0], seen, ITEMS) if index not in union]
    assert found[len(union) :] == beyond[: max(n - len(union), 0)]
    assert {item.reason for item in answer.items[len(union) :]} <= {("first",), ("popular",)}


@SETTINGS
@given(seen=SEEN, n=st.integers(1, ITEMS + 5), depth=st.integers(1, 50))
def test_without_a_ranker_it_answers_as_the_first_source_alone(
    catalogue: ItemTable, seen: list[int], n: int, depth: int
) -> None:
    sources = sources_of(catalogue, (depth, 4, 3, 5))
    several = Recommender(catalogue, HistoryWindow(), sources)
    one = Recommender(catalogue, HistoryWindow(), sources[:1])
    answer = several.recommend([Query(walk(seen), n)])[0]
    assert answer == one.recommend([Query(walk(seen), n)])[0]
    assert ids(answer) == alone(several, sources[0], seen, n)
    assert answer.source == "retrieval"
    assert {item.reason for item in answer.items} == {("first",)}


@SETTINGS
@given(seen=SEEN, n=st.integers(1, ITEMS + 5))
def test_a_first_source_that_knows_few_items_is_topped_up(catalogue: ItemTable, seen: list[int], n: int) -> None:
    table = NeighbourSource("ease", catalogue.neighbours["ease"], 3)
    recommender = Recommender(catalogue, HistoryWindow(), [table])
    answer = recommender.recommend([Query(walk(seen), n)])[0]
    own = alone(recommender, table, seen, n)
    assert ids(answer)[: len(own)] == own
    assert len(set(ids(answer))) == len(ids(answer)) == min(n, ITEMS - len(seen))
    scores = [item.score for item in answer.items]
    assert scores == sorted(scores, reverse=True)
    reasons = [item.reason for item in answer.items]
    assert reasons == [("ease",)] * len(own) + [("popular",)] * (len(reasons) - len(own))


def test_an_exhausted_source_leaves_the_others_their_say(reranked: Recommender) -> None:
    seen = list(range(9))
    # All but three items are excluded: no source finds as many as it would propose.
    query = Query(walk(seen), 10, frozenset(str(item) for item in range(9, ITEMS - 3)))
    answer = reranked.recommend([query])[0]
    assert ids(answer) == [39, 37, 38]
    assert all("first" in item.reason and "second" in item.reason for item in answer.items)


def test_a_source_that_finds_nothing_changes_nothing(catalogue: ItemTable) -> None:
    nothing = NeighbourTable(np.zeros((ITEMS + 1, 2), np.int32), np.zeros((ITEMS + 1, 2), np.float32))
    first = vector_source("first", 1, 6)
    several = Recommender(catalogue, HistoryWindow(), [first, NeighbourSource("ease", nothing, 4)], ranker=OddFirst())
    one = Recommender(catalogue, HistoryWindow(), [first], ranker=OddFirst())
    queries = [Query(walk([3, 4]), 5), Query(walk([9]), 30)]
    assert several.recommend(queries) == one.recommend(queries)
    assert not several.candidates_for([walk([3, 4])]).proposed["ease"].any()
