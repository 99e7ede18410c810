"""Serving: one bundle and one store answer what the routes are asked."""

from __future__ import annotations

from fastapi import Request

from app.answer import STORE_READ_ONLY, STORE_UNREACHABLE
from app.api_keys import API_KEY, ApiKey
from app.bulk_writing import BulkWriting
from app.event_writing import EventWriting
from app.filtering import Filtering
from app.items import Items
from app.list_cursor import LIFE_SECONDS
from app.lists import Lists
from app.metrics import Metrics
from app.prediction import PredictedItem, PredictionAnswer, PredictionRequest
from app.questions import Questions
from app.recommending import Recommending
from app.settings import Settings
from app.store import Store
from app.trends import Trends
from app.user_store import UserStore
from engine.bundle import Bundle
from engine.errors import StoreError, UnsupportedError
from engine.events import History
from engine.exposure import Exposure
from engine.recommender import Recommender
from engine.window import DEFAULT_WEIGHTS

CURRENT = "current"


class Serving:
    """Holds no state of any user: that is the store's."""

    def __init__(self, bundle: Bundle, recommender: Recommender, store: Store, url: str, metrics: Metrics) -> None:
        self.metrics = metrics
        self.store = store
        self.items = Items(bundle, recommender, store.connection, url, self.metrics)
        self._recommender = recommender
        self.settings = store.connection.settings
        # Only now: the bundle's probe was made, and has been checked, with its own weights.
        recommender.weigh(DEFAULT_WEIGHTS | recommender.window.event_weights | self.settings.feedback_weights)
        self.writing = EventWriting(store, recommender, self.metrics)
        self.bulk = BulkWriting(store, recommender, self.metrics, self.writing)
        self.users = UserStore(store)
        self.model_version = bundle.model_version
        self.bundle_state = CURRENT
        """Whether the bundle is the newest in its folder, as who watches that folder says."""
        self.filtering = Filtering(recommender.items)
        # A cached answer has the cursor that it was computed with.
        life = LIFE_SECONDS + self.settings.cache_seconds
        key = store.pseudonyms.key("cursor")
        questions = Questions(recommender, self.filtering, _exposure(self.settings), key, life)
        self.recommending = Recommending(
            recommender, store, self.items.tail, questions, self.metrics, bundle.model_version
        )
        knows = recommender.items.vocabulary.__contains__
        trends = Trends(store.connection, recommender.window, knows, self.metrics)
        self.writing.on_written = trends.count
        self.lists = Lists(
            recommender.items, self.filtering, trends, self.items.tail, self.metrics, bundle.model_version
        )

    def build_like(self, other: Serving) -> None:
        """Make at once what another one has made for filters: who asks for them need not wait."""
        self.filtering.build_like(other.filtering)

    async def predict(self, request: PredictionRequest) -> PredictionAnswer:
        """Predict ratings from the history as it is now; raises UnsupportedError if the bundle cannot."""
        ratings, vocabulary = self._recommender.ratings, self._recommender.items.vocabulary
        if ratings is None:
            raise UnsupportedError("the bundle was trained on data without ratings; train one on data with ratings")
        history, version, degraded = History(), None, None
        try:
            state = await self.store.read(request.user_id, "")
            history, version = state.history, state.version
            degraded = None if state.is_current else STORE_READ_ONLY
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


def serving_of(request: Request) -> Serving:
    """Return what answers a request: that of the tenant of its key, which the start-up put in place."""
    key: ApiKey | None = request.scope.get(API_KEY)
    servings: dict[str, Serving] = request.app.state.servings
    return servings["" if key is None else key.tenant]


def _exposure(settings: Settings) -> Exposure | None:
    if not (settings.exploration_share or settings.novelty_boost):
        return None
    days = settings.novelty_half_life_days, settings.fresh_days
    return Exposure(settings.exploration_share, settings.novelty_boost, *days)
