"""Serving: one bundle and one store answer what the routes are asked."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from app.answer import encode_answer, timed
from app.exploration_log import ExploredPlace, explored_places
from app.items import Items
from app.metrics import Metrics
from app.prediction import PredictedItem, PredictionAnswer, PredictionRequest
from app.rating import Rating, RatingReceipt
from app.settings import Settings
from app.store import Outcome, Store, Written
from engine.bundle import Bundle
from engine.errors import ConflictError, StoreError, UnsupportedError
from engine.events import Event, History
from engine.exposure import Exposure
from engine.query import Query
from engine.recommender import Recommender

STORE_UNREACHABLE = "store_unreachable"


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


class Serving:
    """Holds no state of any user: that is the store's."""

    def __init__(self, bundle: Bundle, recommender: Recommender, store: Store, url: str) -> None:
        self.metrics = Metrics()
        self.store = store
        self.items = Items(bundle, recommender, store.connection, url, self.metrics)
        self._recommender = recommender
        self._settings = store.connection.settings
        self._exposure = _exposure(self._settings)
        self.model_version = bundle.model_version

    async def recommend(self, user_id: str, n: int) -> Served:
        """Answer from the cache, or from the history as it is now; without a store, from what is popular."""
        started = time.perf_counter()
        # A change of the items must not be hidden by an answer from before it.
        field = f"{self.model_version}:{self.items.tail.applied}:{n}"
        try:
            state = await self.store.read(user_id, field)
        except StoreError:
            return self._degraded(user_id, n, started)
        if state.cached is not None:
            self.metrics.answers.labels("cached", "hit", "").inc()
            return Served(timed(state.cached, time.perf_counter() - started), "hit")
        recommendation = self._recommender.recommend([Query(state.history, n, state.seen, exposure=self._exposure)])[0]
        answer_id, items = uuid.uuid4().hex, self._recommender.items
        encoded = encode_answer(user_id, answer_id, recommendation, items, self.model_version, state.version)
        self.metrics.answers.labels(recommendation.source, "miss", "").inc()
        explored = explored_places(user_id, answer_id, recommendation, self.model_version)
        keep = encoded if self._settings.cache_seconds and self.items.tail.is_settled else None
        return Served(timed(encoded, time.perf_counter() - started), "miss", state.version, field, keep, explored)

    async def predict(self, request: PredictionRequest) -> PredictionAnswer:
        """Predict ratings from the history as it is now; raises UnsupportedError if the bundle cannot."""
        ratings, vocabulary = self._recommender.ratings, self._recommender.items.vocabulary
        if ratings is None:
            raise UnsupportedError("the bundle was trained on data without ratings; train one on data with ratings")
        history, version, degraded = History(), None, None
        try:
            state = await self.store.read(request.user_id, "")
            history, version = state.history, state.version
        except StoreError:
            degraded = STORE_UNREACHABLE
        indices = vocabulary.indices_of(request.items)
        predicted = zip(request.items, ratings.predict(history, indices), indices, strict=True)
        return PredictionAnswer(
            user_id=request.user_id,
            model_version=self.model_version,
            history_version=version,
            degraded=degraded,
            items=[
                PredictedItem(item_id=item_id, predicted_rating=round(float(rating), 2), known=bool(index >= 0))
                for item_id, rating, index in predicted
            ],
        )

    async def keep(self, user_id: str, served: Served) -> None:
        """Cache an answer and log what was explored; that this failed is counted and harms nobody."""
        outcome = "written"
        try:
            await self.store.keep(user_id, served.version, served.field, served.keep, served.explored)
        except StoreError:
            outcome = "lost"
            self.metrics.answers.labels("cached", "failed", STORE_UNREACHABLE).inc()
        self.metrics.exposures.labels(outcome).inc(len(served.explored))

    async def rate(self, ratings: Sequence[Rating]) -> RatingReceipt:
        """Write ratings; returns when they are on disk. All are checked before any is written."""
        latest = time.time() + self._settings.clock_skew_seconds
        events = [rating.event(self._recommender.window, latest) for rating in ratings]
        try:
            pairs = zip(events, ratings, strict=True)
            timed_here = {event.event_id for event, rating in pairs if rating.timestamp is None}
            written = await self.store.write(events, timed_here)
        except StoreError as error:
            # With these ids the client can repeat the ratings, and none will count twice.
            raise StoreError(str(error), event_ids=[event.event_id for event in events]) from error
        outcomes = Counter(each.outcome for each in written)
        for outcome, count in outcomes.items():
            self.metrics.events.labels(outcome.name.lower()).inc(count)
        versions: dict[str, int] = {}
        for event, each in zip(events, written, strict=True):
            versions[event.user_id] = max(each.version, versions.get(event.user_id, 0))
        known = self._recommender.items.vocabulary
        unknown = sorted({event.item_id for event in events if event.item_id not in known})
        accepted, duplicates = outcomes[Outcome.WRITTEN], outcomes[Outcome.DUPLICATE]
        if outcomes[Outcome.CONFLICT]:
            raise _conflict(events, written, accepted=accepted, duplicates=duplicates, versions=versions)
        return RatingReceipt(accepted=accepted, duplicates=duplicates, versions=versions, unknown_items=unknown)

    def _degraded(self, user_id: str, n: int, started: float) -> Served:
        recommendation = self._recommender.popular(Query(History(), n))
        self.metrics.answers.labels(recommendation.source, "miss", STORE_UNREACHABLE).inc()
        answer_id, items = uuid.uuid4().hex, self._recommender.items
        encoded = encode_answer(user_id, answer_id, recommendation, items, self.model_version, None, STORE_UNREACHABLE)
        return Served(timed(encoded, time.perf_counter() - started), "miss")


def _exposure(settings: Settings) -> Exposure | None:
    if not (settings.exploration_share or settings.novelty_boost):
        return None
    days = settings.novelty_half_life_days, settings.fresh_days
    return Exposure(settings.exploration_share, settings.novelty_boost, *days)


def _conflict(events: Sequence[Event], written: Sequence[Written], **receipt: object) -> ConflictError:
    pairs = zip(events, written, strict=True)
    ids = [event.event_id for event, each in pairs if each.outcome is Outcome.CONFLICT]
    return ConflictError(
        f"event_id {ids[0]!r} was used before for another rating of that user; send those in `conflicts` with new ids,"
        " the others are done",
        conflicts=ids,
        **receipt,
    )
