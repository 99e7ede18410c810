"""Stages in one process: what is answered when none fits, what is remembered for that, and whose time is learnt."""

from __future__ import annotations

import time
from collections.abc import Callable

import live_world
import numpy as np
import pytest
from live_world import ITEMS, liked, live

from app.deadline import Deadline
from app.filtering import Filtering
from app.last_answers import MOST, SECONDS, LastAnswer, LastAnswers
from app.options import RecommendOptions
from app.questions import Questions
from app.staging import Asked, Staged, Staging, _shape
from app.store import UserState
from engine.events import History
from engine.exposure import Exposure
from engine.recommendation import Recommendation
from engine.recommender import Recommender

MORE = 120
ALICE = "alice"
LIKED = liked("3")
NEVER_FITS = 1e6
Ask = Callable[..., Staged]


@pytest.fixture
def recommender() -> Recommender:
    """The twelve items of the small world, and as many live ones as make a long list."""
    recommender = live_world.live_recommender(depth=ITEMS)
    recommender.random = np.random.default_rng(0)
    recommender.catalogue.put([live(f"new{seed}", seed, added_at=float(seed)) for seed in range(MORE)])
    return recommender


class Stages:
    """Asks as a request does once the history is read."""

    def __init__(self, recommender: Recommender, exposure: Exposure | None = None) -> None:
        self.questions = Questions(recommender, Filtering(recommender.items), exposure, b"key", 60)
        self.staging = Staging(recommender, self.questions)

    def ask(
        self,
        deadline: Deadline,
        *,
        history: History,
        version: int = 1,
        seen: tuple[str, ...] = (),
        field: str = "field",
        **options: object,
    ) -> Staged:
        given = RecommendOptions.model_validate(options)
        state = UserState(version, None, history, frozenset(seen))
        query = self.questions.query(given, history, state.seen)
        return self.staging.staged(Asked(ALICE, given, state, field), query, deadline)

    def whole(self, history: History = LIKED, **more: object) -> Staged:
        return self.ask(Deadline(None), history=history, **more)

    def hurried(self, history: History = LIKED, **more: object) -> Staged:
        """Ask with a minute left, which is not enough once a stage takes longer."""
        return self.ask(Deadline(60_000.0), history=history, **more)

    def late(self, history: History = LIKED, **more: object) -> Staged:
        """Ask for an answer whose time passed after the history was read."""
        return self.ask(Deadline(1.0, began=time.perf_counter() - 1), history=history, **more)

    def slow_down(self, **options: object) -> None:
        """Let both stages be known to take longer than a minute for what is asked like this."""
        given = RecommendOptions.model_validate(options)
        query = self.questions.query(given, History())
        for is_hurried in (False, True):
            self.staging._times[_shape(given, query, is_hurried=is_hurried)].learn(NEVER_FITS)


@pytest.fixture
def stages(recommender: Recommender) -> Stages:
    return Stages(recommender)


def ids(staged: Staged) -> list[str]:
    return [item.item_id for item in staged.recommendation.items]


def told(staged: Staged) -> tuple[str, str | None]:
    return staged.recommendation.source, staged.degraded


def scores(staged: Staged) -> list[float]:
    return [item.score for item in staged.recommendation.items]


@pytest.mark.parametrize("why", ["slow", "late"])
def test_the_last_answer_is_given_when_no_stage_fits(stages: Stages, why: str) -> None:
    assert told(stages.hurried()) == ("retrieval", None)
    last = stages.whole(version=7)
    if why == "slow":
        stages.slow_down()
    again = (stages.hurried if why == "slow" else stages.late)(version=8)
    assert told(again) == ("cached", "deadline")
    assert (again.version, again.recommendation.items) == (7, last.recommendation.items)


def test_without_a_last_answer_popular_items_are_given(stages: Stages) -> None:
    answer = stages.late(version=8)
    assert (told(answer), answer.version, len(ids(answer))) == (("popular", "deadline"), 8, 10)


def test_a_last_answer_below_the_version_that_is_asked_for_is_none(stages: Stages) -> None:
    stages.whole(version=7, min_version=1)
    assert told(stages.late(version=8, min_version=7)) == ("cached", "deadline")
    other = stages.late(version=8, min_version=8)
    assert (told(other), other.version) == (("popular", "deadline"), 8)


@pytest.mark.parametrize("n", [6, 100])
def test_what_may_not_come_any_more_is_replaced_by_popular_items(
    stages: Stages, recommender: Recommender, n: int
) -> None:
    last = stages.whole(n=n)
    assert len(ids(last)) == n
    rated, beyond, hidden, gone = ids(last)[:4]
    recommender.catalogue.put([live(hidden, None, is_hidden=True)])
    recommender.catalogue.remove([gone])
    again = stages.late(liked("3", rated), n=n, seen=(beyond,))
    assert told(again) == ("cached", "deadline")
    assert ids(again)[: n - 4] == ids(last)[4:]
    assert len(set(ids(again))) == n
    assert not set(ids(again)) & {"3", rated, beyond, hidden, gone}
    assert scores(again) == sorted(scores(again), reverse=True)


def test_seen_items_stay_where_they_are_asked_for(stages: Stages) -> None:
    last = stages.whole(exclude_seen=False)
    again = stages.late(liked("3", ids(last)[0]), exclude_seen=False, seen=(ids(last)[1],))
    assert ids(again) == ids(last)


def test_what_chance_put_there_is_not_said_to_be_chance_again(recommender: Recommender) -> None:
    stages = Stages(recommender, Exposure(share=1.0, fresh_days=1e6))
    last = stages.whole(n=5)
    assert any(item.propensity is not None for item in last.recommendation.items)
    again = stages.late(n=5)
    assert (told(again), ids(again)) == (("cached", "deadline"), ids(last))
    assert [item.propensity for item in again.recommendation.items] == [None] * 5
    topped = stages.late(liked("3", *ids(last)[:3]), n=5)
    assert len(ids(topped)) == 5
    assert [item.propensity for item in topped.recommendation.items] == [None] * 5


@pytest.mark.parametrize(
    ("wish", "is_remembered"),
    [
        ({}, True),
        ({"n": 100}, True),
        ({"n": 101}, False),
        ({"explain": "estimated"}, False),
        ({"explain": "counterfactual"}, False),
        ({"diversity": 0.5}, True),
        ({"field": ""}, False),
    ],
)
def test_what_is_remembered(stages: Stages, wish: dict[str, object], is_remembered: bool) -> None:
    stages.whole(**wish)
    assert len(stages.staging.last._answers) == is_remembered
    assert told(stages.late(**wish)) == ("cached" if is_remembered else "popular", "deadline")


def test_what_was_answered_without_a_field_is_given_to_nobody(stages: Stages) -> None:
    """Such as the order of given items, whose options are those of a list of all items."""
    stages.whole()
    assert told(stages.late(field="")) == ("popular", "deadline")


def test_a_hurried_answer_is_not_remembered(stages: Stages) -> None:
    given = RecommendOptions()
    shape = _shape(given, stages.questions.query(given, History()), is_hurried=False)
    stages.staging._times[shape].learn(NEVER_FITS)
    assert told(stages.hurried()) == ("retrieval", "deadline")
    assert not stages.staging.last._answers


OTHER_SHAPES = [
    {"explain": "estimated"},
    {"explain": "counterfactual"},
    {"model": "mean"},
    {"n": 101},
    {"diversity": 0.5},
]


@pytest.mark.parametrize("wish", OTHER_SHAPES)
def test_each_shape_has_a_time_of_its_own(stages: Stages, wish: dict[str, object]) -> None:
    stages.slow_down(**wish)
    assert told(stages.hurried()) == ("retrieval", None)
    assert told(stages.hurried(**wish)) == ("popular", "deadline")


@pytest.mark.parametrize("wish", OTHER_SHAPES)
def test_a_slow_plain_list_slows_no_other(stages: Stages, wish: dict[str, object]) -> None:
    stages.slow_down()
    assert told(stages.hurried()) == ("popular", "deadline")
    assert told(stages.hurried(**wish)) == ("retrieval", None)


def test_popular_lists_need_no_time(stages: Stages) -> None:
    assert told(stages.late(model="popular")) == ("popular", None)


EMPTY = Recommendation((), "rerank")


def test_a_thousand_answers_are_kept_and_the_oldest_goes_first() -> None:
    answers = LastAnswers()
    for number in range(MOST):
        answers.put(f"user {number}", "10", EMPTY, number)
    answers.put("user 0", "10", EMPTY, 5)
    answers.put("one more", "10", EMPTY, 0)
    assert len(answers._answers) == MOST == 1_000
    assert answers.get("user 1", "10") is None
    assert [answers.get(user, "10").version for user in ("user 0", "user 2", "one more")] == [5, 2, 0]


@pytest.mark.parametrize(("age", "is_given"), [(SECONDS - 5, True), (SECONDS, False), (3_600.0, False)])
def test_no_answer_is_given_after_a_minute(age: float, is_given: bool) -> None:
    answers = LastAnswers()
    answers._answers["alice", "10"] = LastAnswer(EMPTY, 1, time.monotonic() - age)
    assert (answers.get("alice", "10") is not None) is is_given


def test_a_user_is_forgotten_and_no_other() -> None:
    answers = LastAnswers()
    for user, key in (("alice", "10"), ("alice", "5"), ("alice b", "10")):
        answers.put(user, key, EMPTY, 1)
    answers.forget("alice")
    assert answers.get("alice", "10") is answers.get("alice", "5") is None
    assert answers.get("alice b", "10") is not None


def test_a_last_answer_keeps_to_the_filter(stages: Stages, recommender: Recommender) -> None:
    wish = {"filter": "number < 6", "n": 3}
    first = ids(stages.whole(**wish))[0]
    recommender.catalogue.put([live(first, None, metadata={"number": 6})])
    again = stages.late(**wish)
    assert told(again) == ("cached", "deadline")
    assert first not in ids(again)
    assert len(ids(again)) == 3


def test_a_version_is_no_other_list(stages: Stages) -> None:
    last = stages.whole(version=7)
    again = stages.late(version=7, min_version=7)
    assert (told(again), ids(again)) == (("cached", "deadline"), ids(last))
    assert RecommendOptions(min_version=3).key == RecommendOptions().key
