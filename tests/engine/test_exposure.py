"""New items in the list: as often as their propensity says, and never what may not be there."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import live_world
import numpy as np
import pytest
from live_world import ITEMS, content_of, ids, liked, live

from engine.errors import QueryError
from engine.events import History
from engine.exposure import Exposure, chances_of
from engine.query import Query
from engine.recommendation import RecommendedItem
from engine.recommender import Recommender
from engine.selection import Selection

# What chi-square exceeds once in ten thousand times, by degrees of freedom.
CHI_SQUARE = {3: 21.11, 4: 23.51, 5: 25.74}
NOW = 1_000 * 86_400.0
DAY = 86_400.0


@pytest.fixture
def recommender() -> Recommender:
    recommender = live_world.live_recommender(depth=ITEMS + 5)
    recommender.clock = lambda: NOW
    recommender.random = np.random.default_rng(0)
    return recommender


def explored(items: tuple[RecommendedItem, ...]) -> list[tuple[int, RecommendedItem]]:
    return [(place, item) for place, item in enumerate(items) if item.reason == ("exploration",)]


def add_fresh(recommender: Recommender) -> None:
    """Five fresh items that the network likes less than the two best of the bundle, one of them without content."""
    fresh = [live(f"new{seed}", seed, added_at=NOW - 5 * DAY) for seed in range(50, 54)]
    recommender.catalogue.put([*fresh, live("bare", None, added_at=NOW)])


@pytest.mark.parametrize("history", [liked("3"), History()])
@pytest.mark.parametrize("share", [0.2, 0.9])
def test_each_item_stands_at_each_place_as_often_as_its_propensity_says(
    recommender: Recommender, history: History, share: float
) -> None:
    add_fresh(recommender)
    draws, n = 6_000, 3
    query = Query(history, n, exposure=Exposure(share=share))
    regular = recommender.recommend([Query(history, n)])[0]
    pool = {"new50", "new51", "new52", "new53", "bare"} - set(ids(regular))
    assert len(pool) >= 3
    seen, promised = Counter[tuple[int, str]](), dict[tuple[int, str], float]()
    for answer in recommender.recommend([query] * draws):
        assert len(set(ids(answer))) == n
        for place, item in explored(answer.items):
            seen[place, item.item_id] += 1
            # It depends on the item and its place alone, not on what else was drawn.
            assert promised.setdefault((place, item.item_id), item.propensity) == item.propensity
        kept = [item.item_id for item in answer.items if item.propensity is None]
        assert kept == ids(regular)[: len(kept)]
    assert {item_id for _, item_id in seen} == pool
    for place in range(n):
        places = [key for key in promised if key[0] == place]
        expected = np.array([draws * promised[key] for key in places])
        got = np.array([seen[key] for key in places])
        assert expected.min() > 5
        # The rest of the probability is that the place was given to nobody new.
        got, expected = np.append(got, draws - got.sum()), np.append(expected, draws - expected.sum())
        assert ((got - expected) ** 2 / expected).sum() < CHI_SQUARE[len(places)]
    first = sum(promised[key] for key in promised if key[0] == 0)
    assert first == pytest.approx(share)


def test_of_a_large_pool_a_sample_is_weighed_and_the_propensity_says_so(recommender: Recommender) -> None:
    add_fresh(recommender)
    draws, n, share, weighed = 6_000, 3, 0.9, 3
    regular = set(ids(recommender.recommend([Query(liked("3"), n)])[0]))
    pool = [name for name in ("new50", "new51", "new52", "new53", "bare") if name not in regular]
    assert len(pool) > weighed
    user = live_world.CONTENT[3][: live_world.WIDTH]
    scores = {
        name: 0.0 if name == "bare" else float(content_of(int(name[3:]))[live_world.WIDTH :] @ user) for name in pool
    }
    seen, inverse = Counter[tuple[int, str]](), Counter[tuple[int, str]]()
    query = Query(liked("3"), n, exposure=Exposure(share=share, weighed=weighed))
    for answer in recommender.recommend([query] * draws):
        for place, item in explored(answer.items):
            seen[place, item.item_id] += 1
            inverse[place, item.item_id] += 1 / item.propensity
    samples = list(combinations(pool, weighed))
    for place in range(n):
        chance = dict.fromkeys(pool, 0.0)
        for sample in samples:
            known = np.array([name != "bare" for name in sample])
            chances = chances_of(np.array([scores[name] for name in sample]), known)
            for name, probability in zip(sample, share * chances, strict=True):
                chance[name] += probability * (1 - probability) ** place / len(samples)
        expected = draws * np.array([*chance.values(), 1 - sum(chance.values())])
        got = np.array([seen[place, name] for name in pool])
        got = np.append(got, draws - got.sum())
        assert expected.min() > 5
        assert ((got - expected) ** 2 / expected).sum() < CHI_SQUARE[len(pool)]
        # Whoever weighs by the inverse counts each item as often as there were answers.
        assert [inverse[place, name] / draws for name in pool] == pytest.approx([1] * len(pool), abs=0.25)


def test_a_sample_has_no_more_than_is_weighed_and_a_small_pool_is_whole(recommender: Recommender) -> None:
    recommender.catalogue.put([live(f"new{seed}", None, added_at=NOW) for seed in range(40)])
    for weighed, at_once in ((40, 40), (7, 7), (10**6, 40)):
        exposure = Exposure(share=1.0, weighed=weighed)
        found = Counter[str]()
        for answer in recommender.recommend([Query(liked("3"), 1, exposure=exposure)] * 20):
            [(_, item)] = explored(answer.items)
            assert item.propensity == pytest.approx(1 / 40)
            found[item.item_id] += 1
        assert len(found) > 7
        sample = exposure.sample(np.arange(100, 140), recommender.random)
        assert len(set(sample.tolist())) == at_once


def test_chances_are_the_softmax_of_the_first_source(recommender: Recommender) -> None:
    recommender.catalogue.put([live(f"new{seed}", seed, added_at=NOW) for seed in (50, 51, 52)])
    query = Query(liked("3"), 1, exclude=frozenset(["new52"]), exposure=Exposure(share=0.5))
    user = live_world.CONTENT[3][: live_world.WIDTH]
    best = recommender.recommend([Query(liked("3"), 1, query.exclude)])[0].items[0].item_id
    scores = {f"new{seed}": float(content_of(seed)[live_world.WIDTH :] @ user) for seed in (50, 51)}
    scores.pop(best, None)
    weights = {item: np.exp(score) for item, score in scores.items()}
    for answer in recommender.recommend([query] * 50):
        for _, item in explored(answer.items):
            assert item.propensity == pytest.approx(0.5 * weights[item.item_id] / sum(weights.values()), rel=1e-4)


def test_without_any_score_all_chances_are_equal(recommender: Recommender) -> None:
    recommender.catalogue.put([live(name, None, added_at=NOW) for name in "abcd"])
    answers = recommender.recommend([Query(History(), 2, exposure=Exposure(share=1.0))] * 50)
    assert {item.propensity for answer in answers for place, item in explored(answer.items) if place == 0} == {0.25}
    second = {item.propensity for answer in answers for place, item in explored(answer.items) if place == 1}
    assert second == {0.25 * 0.75}


def test_only_what_is_fresh_visible_unseen_and_wanted_is_explored(recommender: Recommender) -> None:
    recommender.catalogue.put(
        [
            live("fresh", None, added_at=NOW - 6 * DAY),
            live("seen", 50, added_at=NOW),
            live("hidden", None, added_at=NOW, is_hidden=True),
            live("excluded", None, added_at=NOW),
            live("old", None, added_at=NOW - 8 * DAY),
            live("gone", None, added_at=NOW),
            live("other", None, added_at=NOW),
            live("1", None, added_at=NOW),
        ]
    )
    recommender.catalogue.remove(["gone"])
    exposure = Exposure(share=1.0, fresh_days=7)
    only = Selection.of_ids(recommender.items, [*map(str, range(ITEMS)), "fresh", "seen", "hidden", "excluded", "old"])
    for query in (
        Query(liked("3", "seen"), 3, frozenset(["excluded", "other"]), exposure=exposure),
        Query(liked("3", "seen"), 3, frozenset(["excluded"]), only, exposure),
        Query(liked("seen"), 3, frozenset(["excluded", "other"]), exposure=exposure),
    ):
        answer = recommender.recommend([query])[0]
        assert [item.item_id for _, item in explored(answer.items)] == ["fresh"]
        assert len(answer.items) == 3
        scores = [item.score for item in answer.items]
        assert scores == sorted(scores, reverse=True)


def test_without_exposure_or_fresh_items_the_answer_is_the_usual_one(recommender: Recommender) -> None:
    usual = recommender.recommend([Query(liked("3"), 8)])[0]
    assert recommender.recommend([Query(liked("3"), 8, exposure=Exposure(share=1.0, boost=2.0))])[0] == usual
    add_fresh(recommender)
    usual = recommender.recommend([Query(liked("3"), 8)])[0]
    assert recommender.recommend([Query(liked("3"), 8, exposure=Exposure())])[0] == usual
    assert {item.propensity for item in usual.items} == {None}
    whole = recommender.recommend([Query(liked("3"), 99, exposure=Exposure(share=1.0))])[0]
    assert len(set(ids(whole))) == ITEMS - 1 + 5


def test_a_new_item_gains_by_its_age_in_standard_deviations(recommender: Recommender) -> None:
    recommender.catalogue.put([live("now", 50, added_at=NOW), live("week", 51, added_at=NOW - 7 * DAY)])
    plain = {item.item_id: item.score for item in recommender.recommend([Query(liked("3"), ITEMS + 1)])[0].items}
    boosted = recommender.recommend([Query(liked("3"), ITEMS + 1, exposure=Exposure(boost=3.0, half_life_days=7))])[0]
    # Of the candidates alone, however long the list is to be.
    step = 3.0 * float(np.std(list(plain.values())[: recommender.sources[0].depth]))
    expected = plain | {"now": plain["now"] + step, "week": plain["week"] + step / 2}
    found = {item.item_id: item.score for item in boosted.items}
    assert found == pytest.approx(expected, abs=1e-4)
    assert ids(boosted) == sorted(expected, key=lambda item: -expected[item])
    assert ids(boosted) != list(plain)
    assert {item.reason for item in boosted.items} == {("mean",)}


@pytest.mark.parametrize(
    "wrong",
    [
        {"share": 1.5},
        {"share": float("nan")},
        {"boost": -1},
        {"half_life_days": 0},
        {"fresh_days": float("inf")},
        {"weighed": 0},
    ],
)
def test_what_cannot_be_is_named(wrong: dict[str, float]) -> None:
    with pytest.raises(QueryError, match=f"{next(iter(wrong))} is"):
        Exposure(**wrong)


@pytest.mark.parametrize("counterfactual", [False, True])
def test_what_chance_chose_has_no_cause(recommender: Recommender, counterfactual: bool) -> None:
    add_fresh(recommender)
    exposure = Exposure(share=1.0, is_wide=True)
    query = Query(liked("3", "5"), 5, exposure=exposure, is_explained=True, is_counterfactual=counterfactual)
    chosen = [item for answer in recommender.recommend([query] * 5) for item in answer.items]
    drawn = [item for item in chosen if item.propensity is not None]
    # Most of them are candidates of the network, for which the history would speak.
    assert {item.item_id for item in drawn} & set(map(str, range(ITEMS)))
    assert {item.because for item in drawn} == {()}
    assert any(item.because for item in recommender.recommend([Query(liked("3"), 5, is_explained=True)])[0].items)


@pytest.mark.parametrize("depth", [3, ITEMS + 5])
@pytest.mark.parametrize("history", [liked("3"), History()])
def test_wide_exploration_draws_fresh_items_and_candidates(depth: int, history: History) -> None:
    recommender = live_world.live_recommender(depth=depth)
    recommender.clock, recommender.random = lambda: NOW, np.random.default_rng(0)
    add_fresh(recommender)
    recommender.catalogue.put([live("old", None, added_at=NOW - 99 * DAY)])
    regular = set(ids(recommender.recommend([Query(history, 2)])[0]))
    fresh = {"new50", "new51", "new52", "new53", "bare"} - regular
    for is_wide in (True, False):
        query = Query(history, 2, exposure=Exposure(share=1.0, is_wide=is_wide))
        answers = recommender.recommend([query] * 600)
        drawn = {item.item_id for answer in answers for _, item in explored(answer.items)}
        assert fresh <= drawn
        assert bool(drawn & set(map(str, range(ITEMS)))) is is_wide
        assert not drawn & regular
