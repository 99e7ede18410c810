"""Recommending: answers who asks for a list, from the history as it is now."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.answer import AnswerHead, encode_answer, timed
from app.deadline import Deadline, StageTime
from app.exploration_log import ExploredPlace, explored_places
from app.item_tail import ItemTail
from app.last_answers import LastAnswers
from app.metrics import Metrics
from app.options import RecommendOptions
from app.questions import Questions
from app.session import RankRequest, SessionRequest, UserRequest
from app.settings import Settings
from app.store import Store, UserState
from engine.errors import ConflictError, StoreError
from engine.events import History
from engine.query import Query
from engine.recommendation import Recommendation, RecommendedItem
from engine.recommender import POPULAR, Recommender
from engine.selection import Selection

STORE_UNREACHABLE = "store_unreachable"
LATE = "deadline"
CACHED = "cached"
NOBODY = UserState(0, None, History())
VERSION_SECONDS, VERSION_STEP = 0.5, 0.01


@dataclass(frozen=True, slots=True)
class Served:
    """An encoded answer; `keep` is what may be cached of it, with the version it was computed from."""

    body: bytes
    cache: str
    version: int = 0
    field: str = ""
    keep: bytes | None = None
    explored: tuple[ExploredPlace, ...] = ()

    @property
    def leaves_something(self) -> bool:
        """Whether there is anything to write once the answer is sent."""
        return self.keep is not None or bool(self.explored)


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks for what, and what is known of them.

    field: where the answer may be cached, empty where it may not; degraded: why the state may not be the newest.
    """

    user_id: str
    options: RecommendOptions
    state: UserState
    field: str = ""
    degraded: str | None = None
    is_known: bool = True


@dataclass(frozen=True, slots=True)
class Staged:
    """What a stage answered, from which version of the history, and why it is not what it should be."""

    recommendation: Recommendation
    version: int | None
    degraded: str | None


class Recommending:
    """The stages of an answer: all of them, retrieval alone, what was answered a moment ago, what is popular.

    The first that fits into the time that is left gives it, and says so.
    """

    def __init__(
        self,
        recommender: Recommender,
        store: Store,
        tail: ItemTail,
        questions: Questions,
        metrics: Metrics,
        version: str,
    ) -> None:
        self._recommender = recommender
        self._store = store
        self._tail = tail
        self._questions = questions
        self._metrics = metrics
        self._model_version = version
        self._settings: Settings = store.connection.settings
        self._last = LastAnswers()
        self._ranking, self._retrieval = StageTime(), StageTime()

    async def recommend(self, user_id: str, options: RecommendOptions, deadline: Deadline) -> Served:
        """Answer from the cache, or from the history as it is now; without a store, from what is popular."""
        started = time.perf_counter()
        self._questions.check(user_id, options)
        await self._questions.prepare(options)
        # A change of the items must not be hidden by an answer from before it.
        field = f"{self._model_version}:{self._tail.applied}:{options.key()}"
        asked = await self._read(user_id, options, field, deadline)
        if asked.state.cached is not None:
            self._metrics.answers.labels(CACHED, "hit", "").inc()
            return Served(timed(asked.state.cached, time.perf_counter() - started), "hit")
        served = self._answer(asked, deadline)
        return replace(served, body=timed(served.body, time.perf_counter() - started))

    async def batch(self, requests: Sequence[UserRequest], deadline: Deadline) -> list[Served]:
        """Answer several users; the histories are read side by side."""
        for request in requests:
            self._questions.check(request.user_id, request)
            await self._questions.prepare(request)
        states = await asyncio.gather(*(self._read(each.user_id, each, "", deadline) for each in requests))
        served = list[Served]()
        for asked in states:
            # Others have their turn in between.
            await asyncio.sleep(0)
            began = time.perf_counter()
            answer = self._answer(asked, deadline)
            served.append(replace(answer, body=timed(answer.body, time.perf_counter() - began)))
        return served

    async def session(self, request: SessionRequest, deadline: Deadline) -> bytes:
        """Answer for a history that comes along, after that of a user if one is named; nothing is written."""
        started, user_id = time.perf_counter(), request.user_id or ""
        events = request.events(self._recommender.window)
        self._questions.check(user_id, request)
        await self._questions.prepare(request)
        asked = Asked(user_id, request, NOBODY, is_known=False)
        if request.user_id is not None:
            asked = await self._read(user_id, request, "", deadline)
        state = replace(asked.state, history=History.of([*asked.state.history.events, *events]))
        served = self._answer(replace(asked, state=state), deadline)
        return timed(served.body, time.perf_counter() - started)

    async def rank(self, request: RankRequest, deadline: Deadline) -> tuple[bytes, list[str]]:
        """Put items in a user's order; return the answer and the items that nobody knows."""
        started, vocabulary = time.perf_counter(), self._recommender.items.vocabulary
        unknown = [item_id for item_id in dict.fromkeys(request.items) if item_id not in vocabulary]
        among = Selection.of_ids(self._recommender.items, request.items)
        options = request.options(max(len(among), 1))
        await self._questions.prepare(options)
        asked = await self._read(request.user_id, options, "", deadline)
        served = self._answer(asked, deadline, among)
        return timed(served.body, time.perf_counter() - started), unknown

    async def keep(self, user_id: str, served: Served) -> None:
        """Cache an answer and log what was explored; that this failed is counted and harms nobody."""
        outcome = "written"
        try:
            await self._store.keep(user_id, served.version, served.field, served.keep, served.explored)
        except StoreError:
            outcome = "lost"
            self._metrics.answers.labels(CACHED, "failed", STORE_UNREACHABLE).inc()
        self._metrics.exposures.labels(outcome).inc(len(served.explored))

    def forget(self, user_id: str) -> None:
        """Forget what was answered to a user."""
        self._last.forget(user_id)

    async def _read(self, user_id: str, options: RecommendOptions, field: str, deadline: Deadline) -> Asked:
        """Return what the store knows; ConflictError if min_version is not reached within half a second."""
        until = time.perf_counter() + VERSION_SECONDS
        try:
            async with asyncio.timeout(deadline.seconds):
                while (state := await self._store.read(user_id, field)).version < (options.min_version or 0):
                    if time.perf_counter() > until:
                        raise ConflictError(
                            f"min_version: the history of user {user_id!r} has changed {state.version} times, not"
                            f" {options.min_version}; take it from the receipt of that user's newest event",
                            history_version=state.version,
                        )
                    await asyncio.sleep(VERSION_STEP)
            return Asked(user_id, options, state, field)
        except (StoreError, TimeoutError) as error:
            degraded = STORE_UNREACHABLE if isinstance(error, StoreError) else LATE
            if options.min_version:
                raise StoreError(f"min_version: the store was not read ({degraded}), so nothing proves it") from error
            return Asked(user_id, options, NOBODY, field, degraded)

    def _answer(self, asked: Asked, deadline: Deadline, among: Selection | None = None) -> Served:
        """Return the answer of the first stage that fits; only what is as it should be may be kept."""
        state, options = asked.state, asked.options
        query = self._questions.query(asked.user_id, options, state.history, state.seen, among)
        staged = self._staged(asked, query, deadline)
        cursor = self._questions.cursor(asked.user_id, options, staged.recommendation)
        user_id = asked.user_id if asked.is_known else None
        head = AnswerHead(user_id, self._model_version, staged.version, staged.degraded, cursor)
        body = encode_answer(head, staged.recommendation, self._recommender.items, options.include)
        self._metrics.answers.labels(staged.recommendation.source, "miss", staged.degraded or "").inc()
        keeps = asked.field and not staged.degraded and self._settings.cache_seconds and self._tail.is_settled
        places = explored_places(asked.user_id, head.recommendation_id, staged.recommendation, self._model_version)
        return Served(body, "miss", state.version, asked.field, body if keeps else None, places)

    def _staged(self, asked: Asked, query: Query, deadline: Deadline) -> Staged:
        version = None if asked.degraded else asked.state.version
        if asked.degraded != LATE:
            if asked.options.model == POPULAR:
                return Staged(self._recommender.popular(query), version, asked.degraded)
            for stage, is_hurried in ((self._ranking, False), (self._retrieval, True)):
                if stage.fits(deadline.seconds):
                    answer = self._computed(asked, query, stage, is_hurried=is_hurried)
                    return Staged(answer, version, asked.degraded or (LATE if is_hurried else None))
        return self._last_or_popular(asked, query, version)

    def _computed(self, asked: Asked, query: Query, stage: StageTime, *, is_hurried: bool) -> Recommendation:
        started = time.perf_counter()
        recommender = self._questions.recommender(asked.options.model, is_hurried=is_hurried)
        answer = recommender.recommend([query])[0]
        stage.learn(time.perf_counter() - started)
        if not (asked.degraded or is_hurried):
            self._last.put(asked.user_id, asked.options.key(), answer, asked.state.version)
        return answer

    def _last_or_popular(self, asked: Asked, query: Query, version: int | None) -> Staged:
        last = self._last.get(asked.user_id, asked.options.key())
        if last is None or not asked.field:
            return Staged(self._recommender.popular(query), version, LATE)
        seen = asked.state.history.seen() | asked.state.seen if asked.options.exclude_seen else frozenset[str]()
        here = tuple(item for item in last.recommendation.items if item.item_id not in seen and self._is_here(item))
        return Staged(Recommendation(here, CACHED), last.version, LATE)

    def _is_here(self, item: RecommendedItem) -> bool:
        index = self._recommender.items.vocabulary.index_of(item.item_id)
        return index >= 0 and index not in self._recommender.items.rows.forbidden
