"""Steering: boosts by standard deviations, and dislikes by likeness, at once and in popular lists too."""

from __future__ import annotations

import live_world
import numpy as np
import pytest
from live_world import ITEMS, ids, liked

from engine.events import Event, History
from engine.popularity_source import PopularitySource
from engine.query import Lift, Query
from engine.recommender import Recommender
from engine.selection import Selection
from engine.steering import DISLIKE, Steering
from engine.window import DEFAULT_WEIGHTS, HistoryWindow

SCORES = np.array([4.0, 1.0, 3.0, 2.0, 0.5], dtype=np.float32)
ROWS = np.arange(5)


@pytest.fixture
def recommender() -> Recommender:
    recommender = live_world.live_recommender(depth=ITEMS)
    recommender.weigh(DEFAULT_WEIGHTS)
    return recommender


@pytest.fixture
def steering(recommender: Recommender) -> Steering:
    return Steering(recommender.items, recommender.window, recommender.catalogue.likeness, lambda: 0.0)


def disliked(*item_ids: str, kind: str = "dislike") -> History:
    return History(tuple(Event("u", item, kind, None, float(step)) for step, item in enumerate(item_ids)))


def some(recommender: Recommender, *item_ids: str) -> Selection:
    return Selection.of_ids(recommender.items, item_ids)


def likeness(recommender: Recommender, one: int) -> np.ndarray:
    """Return the cosines of what the network reads of one item and of all."""
    return recommender.catalogue.likeness.units_of(np.arange(ITEMS)) @ recommender.catalogue.likeness.units_of(
        np.array(one)
    )


@pytest.mark.parametrize("weight", [2.0, -0.5, 0.0, 10.0])
def test_a_boost_adds_standard_deviations(steering: Steering, recommender: Recommender, weight: float) -> None:
    query = Query(liked("8"), 5, lifts=(Lift(weight, some(recommender, "1", "3", "11")),))
    added = steering.scores(query, ROWS, SCORES, len(ROWS)) - SCORES
    np.testing.assert_allclose(added, [0, weight * SCORES.std(), 0, weight * SCORES.std(), 0], rtol=1e-5, atol=1e-6)


def test_boosts_add_up(steering: Steering, recommender: Recommender) -> None:
    lifts = (Lift(1.0, some(recommender, "0", "1")), Lift(-3.0, some(recommender, "1")), Lift(2.0, some(recommender)))
    added = steering.scores(Query(liked("8"), 5, lifts=lifts), ROWS, SCORES, len(ROWS)) - SCORES
    np.testing.assert_allclose(added / SCORES.std(), [1, -2, 0, 0, 0], rtol=1e-5, atol=1e-6)


def test_where_there_is_no_candidate_there_is_no_score(steering: Steering, recommender: Recommender) -> None:
    rows = np.array([0, -1, 2, -1, 4])
    query = Query(disliked("3"), 5, lifts=(Lift(1.0, some(recommender, "0", "4")),))
    scores = steering.scores(query, rows, SCORES, len(rows))
    assert np.isneginf(scores[[1, 3]]).all()
    assert np.isfinite(scores[[0, 2, 4]]).all()
    assert set(steering.order(query, rows, scores).tolist()) == {0, 2, 4}


def test_a_boost_moves_items_up_and_down(recommender: Recommender) -> None:
    plain = ids(recommender.recommend([Query(liked("3"), 8)])[0])
    for weight, places in ((10.0, [0, 1]), (-10.0, [9, 10])):
        lifts = (Lift(weight, some(recommender, plain[3], plain[6])),)
        found = ids(recommender.recommend([Query(liked("3"), 11, lifts=lifts)])[0])
        assert [found.index(plain[3]), found.index(plain[6])] == places


def test_a_boost_of_everything_changes_no_order(recommender: Recommender) -> None:
    every = some(recommender, *map(str, range(ITEMS)))
    plain = ids(recommender.recommend([Query(liked("3"), 8)])[0])
    assert ids(recommender.recommend([Query(liked("3"), 8, lifts=(Lift(4.0, every),))])[0]) == plain


def test_a_boost_moves_popular_items_too(recommender: Recommender) -> None:
    assert ids(recommender.recommend([Query(History(), 4)])[0]) == ["0", "1", "2", "3"]
    lifts = (Lift(10.0, some(recommender, "9", "7")),)
    answer = recommender.recommend([Query(History(), 4, lifts=lifts)])[0]
    assert (answer.source, ids(answer)) == ("popular", ["7", "9", "0", "1"])


@pytest.mark.parametrize(("kind", "strength"), [("dislike", 1.0), ("skip", 0.3)])
def test_what_is_like_a_disliked_item_loses(
    steering: Steering, recommender: Recommender, kind: str, strength: float
) -> None:
    query = Query(disliked("5", kind=kind), 5)
    lost = SCORES - steering.scores(query, ROWS, SCORES, len(ROWS))
    expected = DISLIKE * SCORES.std() * strength * likeness(recommender, 5)[:5].clip(min=0)
    np.testing.assert_allclose(lost, expected, rtol=1e-4, atol=1e-6)
    assert lost.max() > 0


def test_of_several_disliked_items_the_most_alike_counts(steering: Steering, recommender: Recommender) -> None:
    lost = SCORES - steering.scores(Query(disliked("7", "9", "7"), 5), ROWS, SCORES, len(ROWS))
    most = np.maximum(likeness(recommender, 7), likeness(recommender, 9))[:5].clip(min=0)
    np.testing.assert_allclose(lost, DISLIKE * SCORES.std() * most, rtol=1e-4, atol=1e-6)


def test_dislikes_of_unknown_items_change_nothing(steering: Steering) -> None:
    query = Query(disliked("nobody"), 5)
    np.testing.assert_array_equal(steering.scores(query, ROWS, SCORES, len(ROWS)), SCORES)
    assert not steering.is_wanted(query)


@pytest.mark.parametrize(
    ("query", "is_wanted"),
    [
        (Query(liked("3")), False),
        (Query(disliked("3")), True),
        (Query(disliked("3", kind="skip")), True),
        (Query(disliked("3", kind="view")), False),
        (Query(History(), diversity=0.1), True),
        (Query(History(), lifts=(Lift(1.0, Selection(np.ones(ITEMS, dtype=bool))),)), True),
    ],
)
def test_when_there_is_something_to_steer(steering: Steering, query: Query, is_wanted: bool) -> None:
    assert steering.is_wanted(query) is is_wanted


def test_a_dislike_lowers_what_is_like_it_in_the_next_answer(recommender: Recommender) -> None:
    before = ids(recommender.recommend([Query(liked("3"), 11)])[0])
    alike = likeness(recommender, int(before[0]))
    history = liked("3").add(Event("u", before[0], "dislike", None, 9.0))
    after = ids(recommender.recommend([Query(history, 11)])[0])
    assert before[0] not in after
    nearest = max(after, key=lambda item: alike[int(item)])
    rest = [item for item in before if item != before[0]]
    assert after.index(nearest) > rest.index(nearest)


def test_who_only_dislikes_gets_popular_items_of_another_kind(recommender: Recommender) -> None:
    answer = recommender.recommend([Query(disliked("11"), 11)])[0]
    assert answer.source == "popular"
    assert ids(answer) != [str(item) for item in range(11)]
    assert sorted(ids(answer), key=int) == [str(item) for item in range(11)]
    nearest = max(range(11), key=likeness(recommender, 11).__getitem__)
    assert ids(answer).index(str(nearest)) > nearest


def test_without_vectors_nothing_is_alike() -> None:
    items = live_world.table()
    window = HistoryWindow(event_weights=DEFAULT_WEIGHTS)
    bare = Recommender(items, window, [PopularitySource("popularity", items, 6)])
    assert ids(bare.recommend([Query(disliked("0"), 3)])[0]) == ["1", "2", "3"]


LONG = 500


@pytest.mark.parametrize("weight", [0.7, 3.0, -2.0])
def test_a_batch_mate_with_a_long_list_changes_no_boosted_one(weight: float) -> None:
    recommender = live_world.live_recommender(depth=20)
    recommender.catalogue.put([live_world.live(f"new{seed}", seed) for seed in range(150)])
    every_third = [f"new{seed}" for seed in range(0, 150, 3)]
    lifts = (Lift(weight, some(recommender, *every_third)),)
    short, long = Query(liked("3"), 10, lifts=lifts), Query(liked("5"), LONG, lifts=lifts)
    [alone] = recommender.recommend([short])
    assert recommender.recommend([short, long])[0] == alone
    assert recommender.recommend([long, short])[1] == alone


def test_nothing_speaks_for_popular_items_that_are_to_be_explained(recommender: Recommender) -> None:
    lifts = (Lift(1.0, some(recommender, "9")),)
    for history in (History(), disliked("11"), liked("nobody's")):
        for query in (Query(history, 4, is_explained=True), Query(history, 4, lifts=lifts, is_explained=True)):
            [answer] = recommender.recommend([query])
            assert answer.source == "popular"
            assert [item.because for item in answer.items] == [()] * 4
    assert recommender.popular(Query(liked("3"), 4, is_explained=True)).items[0].because == ()
    assert recommender.popular(Query(liked("3"), 4)).items[0].because is None


@pytest.mark.parametrize("weight", [10.0, -10.0, 100.0])
@pytest.mark.parametrize("diversity", [0.0, 0.5])
def test_a_batch_mate_changes_nothing(weight: float, diversity: float) -> None:
    recommender = live_world.live_recommender(depth=6)
    recommender.catalogue.put([live_world.live(f"new{seed}", 100 + seed) for seed in range(60)])
    lifts = (Lift(weight, some(recommender, *(f"new{seed}" for seed in range(0, 60, 3)))),)
    short = Query(liked("3"), 6, lifts=lifts, diversity=diversity)
    middle = Query(liked("4"), 20, lifts=lifts, diversity=diversity)
    long = Query(liked("5"), 70, lifts=lifts, diversity=diversity)
    alone = [recommender.recommend([query])[0] for query in (short, middle, long)]
    assert recommender.recommend([short, middle, long]) == alone
