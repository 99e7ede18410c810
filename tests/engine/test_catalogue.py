"""Items that come, change, hide and go while the engine answers: every change counts in the very next call."""

from __future__ import annotations

import live_world
import numpy as np
import pytest
from live_world import CONTENT, ITEMS, WIDTH, ask, content_of, liked, live

from engine.catalogue import Catalogue
from engine.content_source import ContentSource
from engine.errors import BundleError, QueryError
from engine.events import History
from engine.features import Candidates
from engine.index import VectorIndex
from engine.index_merge import IndexMerge
from engine.item_vectors import ItemVectors
from engine.items import ItemTable
from engine.neighbour_source import NeighbourSource
from engine.popularity_source import PopularitySource
from engine.query import Query
from engine.ranking import Ranked
from engine.recommender import Recommender
from engine.selection import Selection
from engine.side_index import LiveIndex
from engine.vector_source import VectorSource
from engine.vocabulary import Vocabulary
from engine.window import HistoryWindow

EVERYTHING = [str(item) for item in range(ITEMS)]


@pytest.fixture
def recommender() -> Recommender:
    return live_world.live_recommender()


@pytest.fixture
def catalogue(recommender: Recommender) -> Catalogue:
    return recommender.catalogue


def expected(history: list[np.ndarray], choice: dict[str, np.ndarray]) -> list[str]:
    """The exact order, from whole content vectors."""
    user = np.mean([content[:WIDTH] for content in history], axis=0)
    return sorted(choice, key=lambda item: -float(choice[item][WIDTH:] @ user))


def test_a_new_item_is_recommended_at_its_place_in_the_next_call(recommender: Recommender) -> None:
    recommender.catalogue.put([live("new", 50), live("newer", 51)])
    choice = {item: CONTENT[int(item)] for item in EVERYTHING if item != "3"}
    choice |= {"new": content_of(50), "newer": content_of(51)}
    assert ask(recommender, liked("3")) == expected([CONTENT[3]], choice)


def test_a_new_item_counts_inside_a_history(recommender: Recommender) -> None:
    before = ask(recommender, liked("3"))
    recommender.catalogue.put([live("new", 50)])
    after = ask(recommender, liked("3", "new"))
    choice = {item: CONTENT[int(item)] for item in EVERYTHING if item != "3"}
    assert after == expected([CONTENT[3], content_of(50)], choice)
    assert after != before
    alone = ask(recommender, liked("new"))
    assert alone == expected([content_of(50)], choice | {"3": CONTENT[3]})


def test_an_item_without_content_stands_at_the_end_of_the_popular_list(recommender: Recommender) -> None:
    recommender.catalogue.put([live("older", None), live("newer", None)])
    assert ask(recommender, History()) == [*EVERYTHING, "newer", "older"]
    assert ask(recommender, liked("3"))[-2:] == ["newer", "older"]
    assert ask(recommender, liked("older")) == [*EVERYTHING, "newer"]
    assert ask(recommender, liked("3", "older"))[:-1] == ask(recommender, liked("3"), exclude=frozenset(["older"]))[:-1]
    assert not recommender.catalogue.get("older").has_vector


def test_an_item_with_another_vector_is_answered_once_and_by_the_new_one(recommender: Recommender) -> None:
    recommender.catalogue.put([live("new", 50)])
    recommender.catalogue.put([live("new", 51, metadata={"title": "b"})])
    choice = {item: CONTENT[int(item)] for item in EVERYTHING if item != "3"} | {"new": content_of(51)}
    assert ask(recommender, liked("3")) == expected([CONTENT[3]], choice)
    assert ask(recommender, liked("new")) == expected(
        [content_of(51)], {item: CONTENT[int(item)] for item in EVERYTHING}
    )
    index = recommender.items.vocabulary.index_of("new")
    recommender.catalogue.put([live("new", 51, metadata={"title": "c"}, is_hidden=True)])
    assert recommender.items.vocabulary.index_of("new") == index
    assert recommender.catalogue.get("new").metadata == {"title": "c"}
    assert "new" not in ask(recommender, liked("3"))


def test_an_item_of_the_bundle_keeps_its_vectors(recommender: Recommender) -> None:
    before = ask(recommender, liked("3"))
    recommender.catalogue.put([live("5", 99, metadata={"title": "changed"}, added_at=3.0)])
    assert ask(recommender, liked("3")) == before
    item = recommender.catalogue.get("5")
    assert (item.metadata, item.is_live, item.added_at, item.has_vector) == ({"title": "changed"}, False, None, True)
    assert recommender.items.metadata_of(5) == {"title": "changed"}
    assert recommender.items.metadata_of(6) == {"number": 6}


def test_what_is_removed_is_gone_until_it_is_put_again(recommender: Recommender) -> None:
    recommender.catalogue.put([live("new", 50)])
    whole = ask(recommender, liked("3"))
    counting = ask(recommender, liked("3", "5"))
    recommender.catalogue.remove(["new", "5", "nobody", "5"])
    assert ask(recommender, liked("3")) == [item for item in whole if item not in {"new", "5"}]
    assert recommender.catalogue.get("new") is recommender.catalogue.get("5") is None
    # What was learned of a bundle's item is still known; of the other nothing is.
    assert ask(recommender, liked("3", "5")) == [item for item in counting if item != "new"]
    assert ask(recommender, liked("3", "new")) == ask(recommender, liked("3"))
    recommender.catalogue.put([live("5", None), live("new", 50)])
    assert ask(recommender, liked("3")) == whole
    assert recommender.items.metadata_of(5) == {}


def test_one_put_with_an_id_twice_keeps_the_last(recommender: Recommender) -> None:
    recommender.catalogue.put([live("new", 50), live("new", 51, metadata={"title": "last"})])
    assert recommender.catalogue.get("new").metadata == {"title": "last"}
    assert ask(recommender, liked("3")).count("new") == 1
    assert [item.item_id for item in recommender.catalogue.page(0, 99)[0]].count("new") == 1


class AsProposed:
    """A ranker that keeps the order."""

    def rank(self, candidates: Candidates) -> Ranked:
        return Ranked(
            np.broadcast_to(-np.arange(candidates.indices.shape[1], dtype=np.float32), candidates.indices.shape)
        )


def build_sources(kind: str, items: ItemTable) -> list:
    neighbours = NeighbourSource("item_knn", items.neighbours["item_knn"], ITEMS)
    popular, content = PopularitySource("popularity", items), ContentSource("content", CONTENT)
    network = live_world.network_source(ITEMS)
    several = [live_world.network_source(4), neighbours, popular, content]
    return {"network": [network], "neighbours": [neighbours], "popularity": [popular], "content": [content]}.get(
        kind, several
    )


@pytest.mark.parametrize("kind", ["network", "neighbours", "popularity", "content", "several"])
@pytest.mark.parametrize("history", [liked("3"), liked("3", "4", "new"), History()])
def test_no_source_gives_what_is_hidden_or_gone(kind: str, history: History) -> None:
    items = live_world.table({"item_knn": live_world.ring_table()})
    sources = build_sources(kind, items)
    towers = {"mean": live_world.HalvingTower()} if isinstance(sources[0], VectorSource) else {}
    recommender = Recommender(items, HistoryWindow(), sources, ranker=AsProposed(), towers=towers)
    recommender.catalogue.put([live("new", 50), live("other", 51), live("changed", 52)])
    everybody = {*EVERYTHING, "new", "other", "changed"} - history.seen()
    assert set(ask(recommender, history)) == everybody
    recommender.catalogue.put([live("4", None, is_hidden=True), live("other", 51, is_hidden=True), live("changed", 53)])
    recommender.catalogue.remove(["5", "new"])
    for n in (1, 3, 40):
        found = ask(recommender, history, n)
        assert not set(found) & {"4", "5", "new", "other"}
        assert len(found) == len(set(found)) == min(n, len(everybody - {"4", "5", "new", "other"}))
    assert not {"4", "5", "new", "other"} & {item.item_id for item in recommender.popular(Query(history, 40)).items}
    recommender.catalogue.put([live("4", None), live("5", None), live("other", 51), live("new", 50)])
    assert set(ask(recommender, history)) == everybody


@pytest.mark.parametrize("exact_up_to", [100, 100_000])
def test_ten_thousand_hidden_items_are_walked_around(exact_up_to: int) -> None:
    count, random = 12_000, np.random.default_rng(5)
    outputs = random.normal(size=(count, 8)).astype(np.float32)
    vectors = ItemVectors(np.vstack((outputs, np.zeros((1, 8), np.float32))), outputs)
    items = ItemTable(Vocabulary(map(str, range(count))), {"popularity": np.zeros(count, np.float32)})
    source = VectorSource("mean", vectors, live_world.MeanEncoder(), VectorIndex.build(outputs, exact_up_to))
    recommender = Recommender(items, HistoryWindow(), [source])
    hidden = random.permutation(count)[:10_000].tolist()
    recommender.catalogue.put([live(str(item), None, is_hidden=True) for item in hidden])
    for item in random.permutation(count)[:20].tolist():
        scores = outputs @ outputs[item]
        scores[[*hidden, item]] = -np.inf
        found = [int(each) for each in ask(recommender, liked(str(item)), 50)]
        assert len(found) == len(set(found)) == 50
        assert not set(found) & set(hidden)
        assert len(set(found) & set(np.argsort(-scores)[:50].tolist())) >= 48
    recommender.catalogue.put([live(str(item), None) for item in hidden])
    assert not recommender.items.rows.forbidden


def test_only_some_items_are_answered_where_that_is_asked(recommender: Recommender) -> None:
    recommender.catalogue.put([live("new", 50), live("bare", None), live("hidden", 51, is_hidden=True)])
    whole = ask(recommender, liked("3"))
    only = frozenset(["new", "bare", "hidden", "1", "3", "7", "nobody"])
    assert ask(recommender, liked("3"), only=only) == [item for item in whole if item in only]
    assert ask(recommender, History(), only=only) == ["1", "3", "7", "bare", "new"]
    assert (
        ask(recommender, liked("3"), 2, only=only, exclude=frozenset("1"))
        == [item for item in whole if item in only - {"1"}][:2]
    )
    assert ask(recommender, liked("3"), only=frozenset()) == []
    lists = (None, only, only, frozenset("2"), None)
    chosen = [None if each is None else Selection.of_ids(recommender.items, each) for each in lists]
    mixed = [Query(liked("3"), 40, only=each) for each in chosen]
    answers = [live_world.ids(answer) for answer in recommender.recommend(mixed)]
    assert answers == [ask(recommender, liked("3"), only=each) for each in lists]


@pytest.mark.parametrize("kind", ["network", "neighbours", "popularity", "content", "several"])
def test_every_source_keeps_to_what_alone_is_asked_for(kind: str) -> None:
    items = live_world.table({"item_knn": live_world.ring_table()})
    recommender = Recommender(items, HistoryWindow(), build_sources(kind, items), ranker=AsProposed())
    assert set(ask(recommender, liked("3"), only=frozenset(["3", "4", "9", "10"]))) == {"4", "9", "10"}


def test_pages_go_once_through_everything_while_items_come(catalogue: Catalogue) -> None:
    catalogue.put([live("a", 50), live("b", None, is_hidden=True)])
    catalogue.remove(["4"])
    found, following = [], 0
    while following is not None:
        items, following = catalogue.page(following, 3)
        found += [item.item_id for item in items]
        if len(found) == 6:
            catalogue.put([live("c", 52)])
            catalogue.remove(["0"])
    assert found == [*[item for item in EVERYTHING if item != "4"], "a", "b", "c"]
    assert catalogue.page(0, 0) == ([], 1)
    assert catalogue.page(99, 5) == ([], None)


def test_an_item_says_what_it_is(catalogue: Catalogue) -> None:
    catalogue.put([live("a", 50, metadata={"title": "A"}, added_at=7.5), live("2", None, is_hidden=True)])
    item = catalogue.get("a")
    assert (item.metadata, item.is_hidden, item.added_at, item.is_live) == ({"title": "A"}, False, 7.5, True)
    assert catalogue.get("2").is_hidden
    assert catalogue.get("1").metadata == {"number": 1}
    assert catalogue.get("nobody") is None


@pytest.mark.parametrize("vector", [np.zeros(3), np.full(8, np.nan), np.zeros((2, 8))])
def test_a_vector_that_does_not_fit_changes_nothing(recommender: Recommender, vector: np.ndarray) -> None:
    before = recommender.catalogue.page(0, 99)
    items = [live("good", 50), live("5", None, is_hidden=True), live_world.LiveItem("bad", content_vector=vector)]
    with pytest.raises(QueryError, match="content vector of item 'bad'"):
        recommender.catalogue.put(items)
    assert recommender.catalogue.page(0, 99) == before


def test_a_tower_without_its_source_is_refused() -> None:
    with pytest.raises(BundleError, match=r"towers for \['stranger'\]"):
        Catalogue(live_world.table(), [live_world.network_source()], {"stranger": live_world.HalvingTower()})


def test_a_bundle_without_towers_takes_items_too() -> None:
    recommender = Recommender(live_world.table(), HistoryWindow(), [live_world.network_source()])
    recommender.catalogue.put([live("new", 50)])
    assert ask(recommender, liked("3"))[-1] == "new"
    assert ask(recommender, liked("new", "3"))[:4] == ask(recommender, liked("3"))[:4]
    assert ask(recommender, liked("new")) == EVERYTHING


def test_a_network_without_a_tower_reads_what_it_knows_of_a_history() -> None:
    items, network = live_world.table(), live_world.network_source(ITEMS)
    sources = [network, ContentSource("content", CONTENT)]
    recommender = Recommender(items, HistoryWindow(), sources, ranker=AsProposed())
    recommender.catalogue.put([live("new", 50), live("other", 51)])
    mixed, known = (
        recommender.candidates_for([liked("new", "3", "other", "7")]),
        recommender.candidates_for([liked("3", "7")]),
    )
    np.testing.assert_allclose(mixed.user_vectors, known.user_vectors, atol=1e-6)
    assert not recommender.user_vectors([liked("new", "other")]).any()
    assert "other" in ask(recommender, liked("new", "3"))


def test_rows_that_were_left_behind_leave_the_index_too(recommender: Recommender) -> None:
    pending: list[IndexMerge] = []
    source = recommender.sources[0]
    source.index = LiveIndex(VectorIndex.build(CONTENT[:, WIDTH:]), 4, pending.append)
    recommender.catalogue.put([live("a", 50), live("b", 51), live("c", 52)])
    recommender.catalogue.put([live("a", 53)])
    recommender.catalogue.remove(["c"])
    pending.pop().run()
    assert "c" not in ask(recommender, liked("3"))
    # The merge began with the fourth row, when the first had just been left behind and "c" was still there.
    assert len(source.index) == ITEMS + 3


def test_only_live_rows_are_left_behind(catalogue: Catalogue) -> None:
    catalogue.put([live("a", 50), live("b", None)])
    catalogue.remove(["3", "nobody", "3"])
    catalogue.put([live("4", 51), live("a", 50, is_hidden=True)])
    assert catalogue.dead_rows == 0
    catalogue.put([live("a", 51)])
    catalogue.remove(["b", "b"])
    assert catalogue.dead_rows == 2


def test_two_tables_share_nothing_that_came(recommender: Recommender) -> None:
    before = live_world.live_recommender()
    recommender.catalogue.put([live("new", 50), live("3", None, is_hidden=True)])
    assert "new" not in before.items.vocabulary
    assert len(ask(before, History())) == ITEMS
