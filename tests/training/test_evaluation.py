"""Evaluation: what a recommender with known answers must be found to be."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest
from worlds import SCHEMA, markov_chain

from engine.bundle import Bundle
from engine.events import History
from engine.query import Query
from engine.recommendation import Recommendation, RecommendedItem
from engine.vocabulary import Vocabulary
from training.evaluation import Catalogue, Evaluation, Examination
from training.metrics import ranking_metrics
from training.split import leave_one_out

# Item "0" has 50 of 100 events, "1" 30, "2" 10, and ten more share the rest.
ITEMS = tuple(str(item) for item in range(13))
POPULARITY = np.array([50, 30, 10, *[1] * 10], dtype=np.float32)
GENRES = np.eye(13, 4) + np.eye(13, 4, k=-4)


class Fixed:
    """A recommender that gives everyone the same items, without those in the history."""

    def __init__(self, items: Sequence[str]) -> None:
        self.items = items

    def recommend(self, queries: Sequence[Query]) -> list[Recommendation]:
        return [Recommendation(self._items(query), "fixed") for query in queries]

    def _items(self, query: Query) -> tuple[RecommendedItem, ...]:
        unseen = [item for item in self.items if item not in query.history.seen()]
        return tuple(RecommendedItem(item, 1.0, None, "fixed") for item in unseen[: query.n])


def events(**histories: Sequence[str]) -> pl.DataFrame:
    rows = [
        (user, item, "view", None, float(time), time)
        for user, items in histories.items()
        for time, item in enumerate(items)
    ]
    return pl.DataFrame(rows, SCHEMA, orient="row")


@pytest.fixture
def catalogue() -> Catalogue:
    return Catalogue(Vocabulary(ITEMS), POPULARITY, GENRES)


@pytest.fixture
def evaluation() -> Evaluation:
    """Ann is new and wants the head, Bob has few events and wants both, Cy has many and wants an unknown item."""
    known = events(ann=["2"], bob=[*"22234567", "gone"], cy=["12"] * 60)
    return Evaluation.of(known, events(ann=["0"], bob=["1", "12"], cy=["unknown"]))


@pytest.fixture
def examined(evaluation: Evaluation, catalogue: Catalogue) -> Examination:
    return evaluation.examine(Fixed(ITEMS), catalogue)


def test_lists_are_what_the_recommender_answers(evaluation: Evaluation) -> None:
    lists = evaluation.lists(Fixed(ITEMS), 3)
    assert lists == [["0", "1", "3"], ["0", "1", "8"], ["0", "1", "2"]]
    assert evaluation.measure(Fixed(ITEMS)) == ranking_metrics(evaluation.lists(Fixed(ITEMS)), evaluation.wanted)


def test_lists_of_a_bundle_are_those_that_are_served(opened: Bundle) -> None:
    split = leave_one_out(markov_chain())
    evaluation, recommender = Evaluation.of(split.train, split.valid), opened.recommender()
    served = [recommender.recommend([Query(history, 20)])[0] for history in evaluation.histories]
    assert evaluation.lists(recommender) == [[item.item_id for item in answer.items] for answer in served]
    assert evaluation.measure(recommender)["HR@5"] > 0.9


def test_each_user_and_their_means_are_measured(evaluation: Evaluation, examined: Examination) -> None:
    assert examined.users == len(evaluation) == 3
    assert examined.per_user["MRR@5"].tolist() == [1.0, 0.5, 0.0]
    assert examined.means["MRR@5"] == 0.5
    assert examined.means == evaluation.measure(Fixed(ITEMS))
    assert examined.intervals["MRR@5"] == (0.0, 1.0)
    assert set(examined.intervals) == set(examined.per_user)
    assert {f"{name}@{k}" for name in ("Novelty", "Diversity") for k in (5, 10, 20)} <= set(examined.per_user)


def test_beyond_accuracy_by_hand(evaluation: Evaluation, catalogue: Catalogue) -> None:
    examined = evaluation.examine_lists([["0", "1"], ["0", "4"], ["1"]], catalogue)
    measured = examined.beyond_accuracy
    bits = [-math.log2(share) for share in (0.5, 0.3, 0.01)]
    assert measured["Coverage@5"] == 3 / 13
    assert measured["Novelty@5"] == pytest.approx(((bits[0] + bits[1]) / 2 + (bits[0] + bits[2]) / 2 + bits[1]) / 3)
    # Genres: items 0 and 1 share none, 0 and 4 all; Cy's list has no pair.
    assert measured["Diversity@5"] == pytest.approx((1 + 0) / 2)
    assert np.isnan(examined.per_user["Diversity@5"]).tolist() == [False, False, True]
    # Histories: Ann 10; Bob 2..7, each once and without the item that is gone; Cy's sixty events are one item.
    assert measured["PopularityBias@5"] == pytest.approx((40 + 25.5 + 30) / (10 + 15 / 6 + 1))


def test_beyond_accuracy_looks_at_the_top_only(evaluation: Evaluation, examined: Examination) -> None:
    assert examined.beyond_accuracy["Coverage@5"] < examined.beyond_accuracy["Coverage@20"] == 1.0
    assert examined.beyond_accuracy["PopularityBias@5"] > examined.beyond_accuracy["PopularityBias@20"]
    assert examined.beyond_accuracy["Novelty@5"] < examined.beyond_accuracy["Novelty@20"]
    assert examined.beyond_accuracy["Diversity@5"] < examined.beyond_accuracy["Diversity@20"]


def test_without_vectors_there_is_no_diversity(evaluation: Evaluation) -> None:
    examined = evaluation.examine(Fixed(ITEMS), Catalogue(Vocabulary(ITEMS), POPULARITY))
    assert not any(name.startswith("Diversity") for name in examined.per_user | examined.beyond_accuracy)


def test_users_are_grouped_by_the_length_of_their_history(examined: Examination) -> None:
    groups = examined.by_user_group
    assert {name: (own["users"], own["MRR@5"]) for name, own in groups.items()} == {
        "new": (1, 1.0),
        "few": (1, 0.5),
        "many": (1, 0.0),
    }
    assert groups["many"]["Novelty@5"] == examined.per_user["Novelty@5"][2]


@pytest.mark.parametrize(("length", "group"), [(0, "new"), (5, "new"), (6, "few"), (50, "few"), (51, "many")])
def test_the_borders_of_the_user_groups(length: int, group: str, catalogue: Catalogue) -> None:
    history = History(
        tuple(Evaluation.of(events(u=["12"] * 60), events(u=["0"])).histories[0].events * length)[:length]
    )
    evaluation = Evaluation(("u",), (history,), (frozenset("0"),))
    assert list(evaluation.examine(Fixed(ITEMS), catalogue).by_user_group) == [group]


def test_item_groups_count_their_own_wanted_items(examined: Examination, catalogue: Catalogue) -> None:
    head, tail = examined.by_item_group["head"], examined.by_item_group["tail"]
    assert catalogue.head() == {"0", "1"}
    assert (head["users"], head["MRR@5"], head["Recall@5"]) == (2, 0.75, 1.0)
    # Bob's item 12 stands at place 7 of his list, and nobody can find what is not in the catalogue.
    assert (tail["users"], tail["MRR@10"], tail["Recall@5"]) == (2, 1 / 7 / 2, 0.0)


def test_an_examination_is_json_without_the_users(examined: Examination) -> None:
    encoded = json.loads(json.dumps(examined.as_dict(), allow_nan=False))
    assert encoded["means"] == examined.means
    assert encoded["intervals"]["MRR@5"] == [0.0, 1.0]
    assert encoded["by_item_group"] == examined.by_item_group
    assert set(encoded) == set(Examination.__dataclass_fields__) - {"per_user"}


def test_an_examination_depends_on_the_seed_of_its_intervals_only(evaluation: Evaluation, catalogue: Catalogue) -> None:
    first, again, other = (evaluation.examine(Fixed(ITEMS), catalogue, resamples=7, seed=seed) for seed in (1, 1, 2))
    assert first.as_dict() == again.as_dict()
    assert first.intervals != other.intervals
    assert first.means == other.means


def test_without_users_nothing_is_measured(catalogue: Catalogue) -> None:
    examined = Evaluation((), (), ()).examine(Fixed(ITEMS), catalogue)
    assert (examined.users, examined.means, examined.intervals, examined.by_user_group) == (0, {}, {}, {})
    assert set(examined.beyond_accuracy.values()) == {0.0}
    json.dumps(examined.as_dict(), allow_nan=False)


def test_users_without_a_history_or_a_list_are_measured(catalogue: Catalogue) -> None:
    evaluation = Evaluation(("a", "b"), (History(), History()), (frozenset("0"), frozenset("1")))
    examined = evaluation.examine_lists([["0"], []], catalogue)
    assert examined.means["HR@5"] == 0.5
    assert examined.beyond_accuracy["Novelty@5"] == 1.0
    assert "PopularityBias@5" not in examined.beyond_accuracy


def test_a_catalogue_that_does_not_fit_is_refused(evaluation: Evaluation, catalogue: Catalogue) -> None:
    with pytest.raises(ValueError, match="'elsewhere' is recommended but not in the catalogue"):
        evaluation.examine(Fixed(["0", "elsewhere"]), catalogue)
    for arrays in ((POPULARITY[1:], None), (POPULARITY, GENRES[1:])):
        with pytest.raises(ValueError, match="is for 12 items but the vocabulary has 13"):
            Catalogue(Vocabulary(ITEMS), *arrays)
    for popularity in (np.zeros(13), POPULARITY - 2):
        with pytest.raises(ValueError, match="popularity counts training events"):
            Catalogue(Vocabulary(ITEMS), popularity)


def test_at_most_so_many_users_are_drawn_by_the_seed() -> None:
    known = events(**{user: ["0", "1"] for user in "abcdefgh"})
    drawn = Evaluation.of(known, known, most=3, seed=1)
    assert len(drawn) == len(drawn.histories) == len(drawn.wanted) == 3
    assert drawn.user_ids == Evaluation.of(known, known, most=3, seed=1).user_ids
    assert {Evaluation.of(known, known, most=3, seed=seed).user_ids for seed in range(9)} != {drawn.user_ids}
    assert Evaluation.of(known, known, most=8).user_ids == tuple("abcdefgh")
