"""The whole path: what it leaves out, what it tops up, and that company changes nothing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.bundle import Bundle
from engine.errors import QueryError
from engine.events import Event, History
from engine.index import VectorIndex
from engine.item_vectors import ItemVectors
from engine.items import ItemTable
from engine.query import Query
from engine.recommendation import Recommendation
from engine.recommender import Recommender
from engine.vector_source import VectorSource
from engine.window import HistoryBatch, HistoryWindow

RING = 24
HISTORIES = st.lists(st.integers(0, RING - 1), max_size=20, unique=True)


def history(items: list[int], extra: str = "") -> History:
    ids = [f"item {item}" for item in items] + ([extra] if extra else [])
    return History(tuple(Event("u", item_id, "rating", 4.0, 1_000.0 * step) for step, item_id in enumerate(ids)))


def ids(answer: Recommendation) -> list[str]:
    return [item.item_id for item in answer.items]


@pytest.fixture(scope="module")
def recommender(opened: Bundle) -> Recommender:
    return opened.recommender()


@settings(max_examples=40, deadline=None)
@given(seen=HISTORIES, excluded=st.sets(st.integers(0, RING - 1)), n=st.integers(1, 30))
def test_it_fills_the_list_with_unseen_items_only(
    recommender: Recommender, seen: list[int], excluded: set[int], n: int
) -> None:
    query = Query(history(seen), n, frozenset(f"item {item}" for item in excluded))
    answer = recommender.recommend([query])[0]
    found = ids(answer)
    unwanted = set(seen) | excluded
    assert len(found) == len(set(found)) == min(n, RING - len(unwanted))
    assert not {int(item.split()[1]) for item in found} & unwanted
    scores = [item.score for item in answer.items]
    assert scores == sorted(scores, reverse=True)
    assert all(1 <= (item.predicted_rating or 0) <= 5 for item in answer.items)


@settings(max_examples=20, deadline=None)
@given(batch=st.lists(st.tuples(HISTORIES, st.integers(1, 30)), min_size=2, max_size=9))
def test_a_batch_answers_as_one_by_one(recommender: Recommender, batch: list[tuple[list[int], int]]) -> None:
    queries = [Query(history(seen), n) for seen, n in batch]
    together = recommender.recommend(queries)
    for query, answer in zip(queries, together, strict=True):
        alone = recommender.recommend([query])[0]
        assert alone.source == answer.source
        assert [item.score for item in alone.items] == pytest.approx([item.score for item in answer.items], abs=1e-4)
        assert set(ids(alone)) == set(ids(answer)) or len(ids(alone)) < RING


def test_saved_and_opened_is_as_before(opened: Bundle, tmp_path) -> None:
    queries = [Query(history(list(range(start, start + 6))), 10) for start in range(12)]
    before = opened.recommender().recommend(queries)
    assert opened.save(tmp_path / "again").recommender().recommend(queries) == before


def test_more_queries_than_one_batch(recommender: Recommender) -> None:
    answers = recommender.recommend([Query(history([start % RING]), 2) for start in range(600)])
    assert len(answers) == 600
    assert answers[:RING] == recommender.recommend([Query(history([start]), 2) for start in range(RING)])


@pytest.mark.parametrize("stranger", [History(), history([], extra="an item that nobody knows")])
def test_who_is_not_known_gets_what_is_popular(recommender: Recommender, stranger: History) -> None:
    answer = recommender.recommend([Query(stranger, 5)])[0]
    assert answer.source == "popular"
    assert {item.reason for item in answer.items} == {("popular",)}
    counts = recommender.items.columns["popularity"]
    chosen = [counts[recommender.items.vocabulary.index_of(item)] for item in ids(answer)]
    assert chosen == sorted(counts, reverse=True)[:5]


def test_events_that_no_network_reads_leave_a_user_unknown_but_count_as_seen(recommender: Recommender) -> None:
    clicks = History((Event("u", "item 3", "click", None, 1.0),))
    answer = recommender.recommend([Query(clicks, 24)])[0]
    assert answer.source == "popular"
    assert "item 3" not in ids(answer)


def test_one_known_item_is_enough_to_be_personal(recommender: Recommender) -> None:
    answer = recommender.recommend([Query(history([3], extra="unknown"), 3)])[0]
    assert answer.source == "rerank"
    assert "item 4" in ids(answer)


def test_a_new_rating_changes_the_answer(recommender: Recommender) -> None:
    before = history([3, 4])
    after = before.add(Event("u", "item 15", "rating", 5.0, 1e6))
    first, second = recommender.recommend([Query(before, 3), Query(after, 3)])
    assert "item 5" in ids(first)
    assert "item 16" in ids(second)


@pytest.mark.parametrize("n", [0, -1, 501])
def test_n_is_bounded(n: int) -> None:
    with pytest.raises(QueryError, match=rf"n is {n}; it must be within 1\.\.500"):
        Query(History(), n)


def test_user_vectors_times_item_vectors_is_the_retrieval_score(recommender: Recommender, opened: Bundle) -> None:
    known = history([3, 4, 5])
    vector = recommender.user_vectors([known, History()])
    assert not vector[1].any()
    scores = opened.encoded["sasrec"].vectors.outputs @ vector[0]
    best = recommender.without_ranker().recommend([Query(known, 1)])[0].items[0]
    unseen = np.delete(scores, [recommender.items.vocabulary.index_of(item) for item in known.seen()])
    assert best.score == pytest.approx(unseen.max(), abs=1e-4)


class MeanEncoder:
    """User vector = mean of the history's vectors: no network is needed to test the path around it."""

    def encode(self, batch: HistoryBatch) -> np.ndarray:
        return (batch.vectors.sum(1) / np.maximum(batch.lengths, 1)[:, None]).astype(np.float32)


Build = Callable[[int], Recommender]


@pytest.fixture(scope="module")
def build(items: ItemTable, vectors: ItemVectors, index: VectorIndex) -> Build:
    return lambda depth: Recommender(
        items, HistoryWindow(), [VectorSource("mean", vectors, MeanEncoder(), index, depth)]
    )


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_retrieval_is_the_exact_order(build: Build, vectors: ItemVectors, data: st.DataObject) -> None:
    seen = data.draw(st.lists(st.sampled_from("01234567"), min_size=1, max_size=6, unique=True))
    known = History(tuple(Event("u", item, "rating", 3.0, float(step)) for step, item in enumerate(seen)))
    n = data.draw(st.integers(8 - len(seen), 30))
    answer = build(data.draw(st.integers(1, 8))).recommend([Query(known, n)])[0]
    scores = vectors.outputs @ vectors.inputs[[int(item) for item in seen]].mean(0)
    expected = [str(item) for item in np.argsort(-scores, kind="stable") if str(item) not in seen]
    assert ids(answer) == expected
    assert answer.source == "retrieval"
    assert {item.reason for item in answer.items} == {("mean",)}


def test_the_retrieved_scores_are_products(build: Build, vectors: ItemVectors) -> None:
    known = History((Event("u", "3", "rating", 3.0, 0.0),))
    answer = build(8).recommend([Query(known, 7)])[0]
    products = vectors.outputs @ vectors.inputs[3]
    assert [item.score for item in answer.items] == pytest.approx([products[int(item)] for item in ids(answer)])
