"""Recommending: answers who asks for a list, from the history as it is now."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass, replace

from app.answer import DEADLINE, STORE_READ_ONLY, STORE_UNREACHABLE, AnswerHead, encode_answer, timed
from app.deadline import Deadline
from app.exploration_log import ExploredPlace, explored_places
from app.item_tail import ItemTail
from app.list_cursor import ListCursor
from app.metrics import Metrics
from app.options import RecommendOptions
from app.questions import Questions
from app.session import RankRequest, SessionRequest, UserRequest
from app.settings import Settings
from app.staging import CACHED, Asked, Staging
from app.store import Store, UserState
from engine.errors import ConflictError, StoreError, UnreadyError
from engine.events import History
from engine.recommender import Recommender
from engine.selection import Selection

NOBODY = UserState(0, None, History())
READ_AT_ONCE = 8
BATCHES_AT_ONCE = 4
"""So many batches are answered at once: the connections, and the turns of this process, are for others too."""
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


class Recommending:
    """Reads what is known of a user, has a stage answer, and encodes it."""

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
        self._hits = metrics.answers.labels(CACHED, "hit", "")
        self._model_version = version
        self._settings: Settings = store.connection.settings
        self._staging = Staging(recommender, questions)
        self._batches = asyncio.Semaphore(BATCHES_AT_ONCE)

    async def recommend(self, user_id: str, options: RecommendOptions, deadline: Deadline) -> Served:
        """Answer from the cache, or from the history as it is now; without a store, from what is popular."""
        started = time.perf_counter()
        page = self._questions.page(user_id, options)
        await self._prepare(options, deadline)
        # A change of the items must not be hidden by an answer from before it.
        field = f"{self._model_version}:{self._tail.applied}:{options.key}"
        asked = await self._read(user_id, options, field, deadline)
        if asked.state.cached is not None:
            self._hits.inc()
            return Served(timed(asked.state.cached, time.perf_counter() - started), "hit")
        served = self._answer(asked, deadline, page)
        return replace(served, body=timed(served.body, time.perf_counter() - started))

    async def batch(self, requests: Sequence[UserRequest], deadline: Deadline) -> list[Served]:
        """Answer several users, when it is this batch's turn; the histories of a few are read side by side."""
        pages = [self._questions.page(request.user_id, request) for request in requests]
        for request in requests:
            await self._prepare(request, deadline)
        async with self._turn(deadline):
            return await self._answers(requests, pages, deadline)

    async def session(self, request: SessionRequest, deadline: Deadline) -> bytes:
        """Answer for a history that comes along, after that of a user if one is named; nothing is written."""
        started, user_id = time.perf_counter(), request.user_id or ""
        latest = time.time() + self._settings.clock_skew_seconds
        events = request.events(self._recommender.window, latest)
        page = self._questions.page(user_id, request)
        await self._prepare(request, deadline)
        asked = Asked(user_id, request, NOBODY, is_known=False)
        if request.user_id is not None:
            asked = await self._read(user_id, request, "", deadline)
        state = replace(asked.state, history=History.of([*asked.state.history.events, *events]))
        served = self._answer(replace(asked, state=state), deadline, page)
        return timed(served.body, time.perf_counter() - started)

    async def rank(self, request: RankRequest, deadline: Deadline) -> tuple[bytes, list[str]]:
        """Put items in a user's order; return the answer and the items that are unknown, deleted or hidden."""
        started, items = time.perf_counter(), self._recommender.items
        rows = items.vocabulary.indices_of(request.items)
        is_here = (rows >= 0) & ~items.rows.forbidden.hits(rows)
        unknown = dict.fromkeys(item_id for item_id, here in zip(request.items, is_here, strict=True) if not here)
        among = Selection.of_ids(items, set(request.items) - unknown.keys())
        options = request.options(max(len(among), 1))
        await self._prepare(options, deadline)
        asked = await self._read(request.user_id, options, "", deadline)
        served = self._answer(asked, deadline, None, among)
        return timed(served.body, time.perf_counter() - started), list(unknown)

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
        self._staging.last.forget(user_id)

    @asynccontextmanager
    async def _turn(self, deadline: Deadline) -> AsyncIterator[None]:
        """Wait until few other batches are under way; after the deadline nothing is read, and so it needs no turn."""
        async with AsyncExitStack() as stack:
            with suppress(TimeoutError):
                async with asyncio.timeout(deadline.seconds):
                    await stack.enter_async_context(self._batches)
            yield

    async def _answers(
        self, requests: Sequence[UserRequest], pages: Sequence[ListCursor | None], deadline: Deadline
    ) -> list[Served]:
        served = list[Served]()
        for start in range(0, len(requests), READ_AT_ONCE):
            lot = requests[start : start + READ_AT_ONCE]
            read = await asyncio.gather(*(self._read(each.user_id, each, "", deadline) for each in lot))
            for asked, page in zip(read, pages[start:], strict=False):
                # Others have their turn in between.
                await asyncio.sleep(0)
                began = time.perf_counter()
                answer = self._answer(asked, deadline, page)
                served.append(replace(answer, body=timed(answer.body, time.perf_counter() - began)))
        return served

    async def _prepare(self, options: RecommendOptions, deadline: Deadline) -> None:
        if options.is_plain:
            return
        try:
            async with asyncio.timeout(None if self._questions.is_ready(options) else deadline.seconds):
                await self._questions.prepare(options)
        except TimeoutError as error:
            # It is made nevertheless, and without it the answer would have items that nobody wants.
            raise UnreadyError(
                "what filters and cursors look up is not made yet; try again, or give more time"
            ) from error

    async def _read(self, user_id: str, options: RecommendOptions, field: str, deadline: Deadline) -> Asked:
        """Return what the store knows; ConflictError if min_version is not reached within half a second."""
        left = deadline.seconds
        if left == 0:
            return _unread(user_id, options, field, DEADLINE)
        try:
            async with nullcontext() if left is None else asyncio.timeout(left):
                state = await self._state(user_id, options.min_version or 0, field)
                return Asked(user_id, options, state, field, None if state.is_current else STORE_READ_ONLY)
        except StoreError:
            return _unread(user_id, options, field, STORE_UNREACHABLE)
        except TimeoutError:
            return _unread(user_id, options, field, DEADLINE)

    async def _state(self, user_id: str, min_version: int, field: str) -> UserState:
        until = time.perf_counter() + VERSION_SECONDS
        while (state := await self._store.read(user_id, field)).version < min_version:
            while (version := await self._store.version(user_id)) < min_version:
                if time.perf_counter() > until:
                    raise ConflictError(
                        f"min_version: the history of user {user_id!r} has changed {version} times, not {min_version};"
                        " take it from the receipt of that user's newest event",
                        history_version=version,
                    )
                await asyncio.sleep(VERSION_STEP)
        return state

    def _answer(
        self, asked: Asked, deadline: Deadline, page: ListCursor | None, among: Selection | None = None
    ) -> Served:
        """Return the answer of the first stage that fits; only what is as it should be may be kept."""
        state, options = asked.state, asked.options
        query = self._questions.query(options, state.history, state.seen, page, among)
        staged = self._staging.staged(asked, query, deadline)
        # Given items have no further page.
        cursor = None
        if among is None:
            cursor = self._questions.cursor(asked.user_id, options, page, staged.recommendation)
        user_id = asked.user_id if asked.is_known else None
        head = AnswerHead(user_id, self._model_version, staged.version, staged.degraded, cursor)
        body = encode_answer(head, staged.recommendation, self._recommender.items, options.include)
        self._metrics.answers.labels(staged.recommendation.source, "miss", staged.degraded or "").inc()
        keeps = asked.field and not staged.degraded and self._settings.cache_seconds and self._tail.is_settled
        places = explored_places(asked.user_id, head.recommendation_id, staged.recommendation, self._model_version)
        return Served(body, "miss", state.version, asked.field, body if keeps else None, places)


def _unread(user_id: str, options: RecommendOptions, field: str, degraded: str) -> Asked:
    if options.min_version:
        raise StoreError(f"min_version: nothing proves it in time ({degraded}); try again")
    return Asked(user_id, options, NOBODY, field, degraded)
