"""Selections against sets, and lists that a filter leaves: never shorter than they could be, at any selectivity."""

from __future__ import annotations

from collections.abc import Iterator

import live_world
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from live_world import MeanEncoder, ids, liked, live

from engine import recommender as recommender_module
from engine.events import Event, History
from engine.features import Candidates
from engine.index import VectorIndex
from engine.item_vectors import ItemVectors
from engine.items import ItemTable
from engine.popularity_source import PopularitySource
from engine.query import Lift, Query
from engine.ranking import Ranked
from engine.recommender import Recommender
from engine.row_set import RowSet
from engine.selection import Selection
from engine.vector_source import VectorSource
from engine.vocabulary import Vocabulary
from engine.window import HistoryWindow

ITEMS = 90
ROWS = st.sets(st.integers(0, ITEMS - 1))
MASKS = st.lists(st.booleans(), min_size=1, max_size=70).map(lambda bits: np.array(bits, dtype=bool))


class LastFirst:
    """A ranker that prefers the last items of the table."""

    def rank(self, candidates: Candidates) -> Ranked:
        return Ranked(candidates.indices.astype(np.float32))


def wide_recommender(exact_up_to: int, *, is_ranked: bool) -> Recommender:
    """Items "0" to "89" in a graph, of which a source proposes ten at a time."""
    random = np.random.default_rng(3)
    inputs = np.vstack((random.normal(size=(ITEMS, 6)), np.zeros((1, 6)))).astype(np.float32)
    vectors = ItemVectors(inputs, random.normal(size=(ITEMS, 6)).astype(np.float32))
    index = VectorIndex.build(vectors.outputs, exact_up_to)
    items = ItemTable(Vocabulary(map(str, range(ITEMS))), {"popularity": random.random(ITEMS).astype(np.float32)})
    sources = [VectorSource("mean", vectors, MeanEncoder(), index, 10), PopularitySource("popularity", items, 5)]
    return Recommender(items, HistoryWindow(), sources, ranker=LastFirst() if is_ranked else None)


@pytest.fixture(params=["flat", "graph"])
def wide(request: pytest.FixtureRequest) -> dict[bool, Recommender]:
    """Recommenders with and without a ranker."""
    exact_up_to = ITEMS if request.param == "flat" else 4
    both = {is_ranked: wide_recommender(exact_up_to, is_ranked=is_ranked) for is_ranked in (False, True)}
    assert VectorIndex.build(np.ones((ITEMS, 6), np.float32), 4).kind == "hnsw"
    return both


@pytest.fixture(params=[0, 20, 2_048])
def looked_at(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """How few items are looked at one by one; more are a filter of the search."""
    monkeypatch.setattr(recommender_module, "LOOKED_AT", request.param)
    return request.param


@given(mask=MASKS, asked=st.lists(st.just(-1) | st.integers(0, 90), max_size=20))
def test_it_is_a_set_of_rows(mask: np.ndarray, asked: list[int]) -> None:
    selection, plain = Selection(mask), set(np.flatnonzero(mask).tolist())
    assert len(selection) == len(plain)
    assert selection.rows.tolist() == sorted(plain)
    assert selection.contains(np.array([asked], dtype=np.int64)).tolist() == [[row in plain for row in asked]]


@given(mask=MASKS, others=st.sets(st.integers(0, 200), max_size=20))
def test_it_forbids_all_other_rows(mask: np.ndarray, others: set[int]) -> None:
    rows = RowSet()
    for row in others:
        rows.set(row, True)
    forbidden = Selection(mask).forbidding(rows, 100)
    assert {row for row in range(201) if row in forbidden} == (set(range(100)) - set(np.flatnonzero(mask))) | others


def test_ids_that_nobody_knows_are_no_rows() -> None:
    items = live_world.table()
    assert Selection.of_ids(items, ["3", "nobody", "11", "3"]).rows.tolist() == [3, 11]
    assert len(Selection.of_ids(items, [])) == 0


@pytest.mark.parametrize("is_ranked", [False, True])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), history=st.lists(st.integers(0, ITEMS - 1), max_size=6), n=st.sampled_from([1, 7, 25, 120]))
def test_no_list_is_shorter_than_it_could_be(
    wide: dict[bool, Recommender],
    looked_at: int,
    is_ranked: bool,
    data: st.DataObject,
    history: list[int],
    n: int,
) -> None:
    recommender, few = wide[is_ranked], data.draw(st.booleans())
    rows = data.draw(st.sets(st.integers(0, ITEMS - 1), max_size=4) if few else ROWS)
    only = Selection.of_ids(recommender.items, map(str, rows))
    exclude = frozenset(map(str, data.draw(st.sets(st.integers(0, ITEMS - 1), max_size=30))))
    diversity = data.draw(st.sampled_from([0.0, 0.6]))
    events = liked(*map(str, history))
    lifts = (Lift(-2.0, only),) * data.draw(st.integers(0, 1))
    query = Query(events, n, exclude, only, diversity=diversity, lifts=lifts)
    found = ids(recommender.recommend([query])[0])
    allowed = {str(row) for row in rows} - exclude - events.seen()
    assert len(found) == len(set(found)) == min(n, len(allowed))
    assert set(found) <= allowed


def test_a_filter_keeps_the_best_of_what_it_leaves(wide: dict[bool, Recommender], looked_at: int) -> None:
    recommender, history = wide[False], liked("5", "6")
    everything = ids(recommender.recommend([Query(history, ITEMS)])[0])
    allowed = {str(row) for row in range(0, ITEMS, 3)}
    only = Selection.of_ids(recommender.items, allowed)
    found = ids(recommender.recommend([Query(history, 8, only=only)])[0])
    assert found == [item_id for item_id in everything if item_id in allowed][:8]


def test_a_popular_list_goes_on_behind_what_is_excluded(wide: dict[bool, Recommender]) -> None:
    recommender = wide[False]
    order = ids(recommender.recommend([Query(History(), ITEMS)])[0])
    some = set(order[::2])
    only = Selection.of_ids(recommender.items, some)
    assert ids(recommender.recommend([Query(History(), 7, frozenset(order[:5]))])[0]) == order[5:12]
    assert ids(recommender.recommend([Query(History(), 7, frozenset(order[:5]), only)])[0]) == order[6:20:2]


def test_several_queries_each_with_a_selection_of_its_own(wide: dict[bool, Recommender], looked_at: int) -> None:
    recommender = wide[True]
    halves = [Selection.of_ids(recommender.items, map(str, range(start, ITEMS, 2))) for start in (0, 1)]
    users = [liked("1", "2"), History(), liked("7"), liked("8", "9")]
    queries = [Query(user, 12, only=halves[number % 2]) for number, user in enumerate(users)]
    together = recommender.recommend([*queries, Query(users[0], 12)])
    assert together == [recommender.recommend([query])[0] for query in [*queries, Query(users[0], 12)]]
    for number, answer in enumerate(together[:4]):
        assert {int(item) % 2 for item in ids(answer)} == {number % 2}


@pytest.mark.parametrize("most", [0, 2_048])
def test_what_comes_later_is_not_among_them(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    monkeypatch.setattr(recommender_module, "LOOKED_AT", most)
    recommender = live_world.live_recommender()
    only = Selection.of_ids(recommender.items, map(str, range(live_world.ITEMS)))
    recommender.catalogue.put([live("new", 50), live("5", 60, is_hidden=True)])
    found = ids(recommender.recommend([Query(liked("3"), 40, only=only)])[0])
    assert set(found) == {str(item) for item in range(live_world.ITEMS)} - {"3", "5"}


def test_seen_items_come_again_where_they_are_wanted() -> None:
    recommender = live_world.live_recommender()
    history = History((Event("u", "3", "rating", 5.0, 0.0), Event("u", "nobody", "view", None, 1.0)))
    assert "3" not in ids(recommender.recommend([Query(history, 12)])[0])
    assert len(ids(recommender.recommend([Query(history, 12)])[0])) == 11
    again = ids(recommender.recommend([Query(history, 12, shows_seen=True)])[0])
    assert "3" in again
    assert "3" not in ids(recommender.recommend([Query(history, 12, frozenset(["3"]), shows_seen=True)])[0])
