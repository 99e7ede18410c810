"""Lists: what is popular, trending or new; the same for all users."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import compress

import numpy as np
import numpy.typing as npt

from app.answer import STORE_UNREACHABLE, AnswerHead, encode_answer, timed
from app.filtering import Filtering
from app.item_tail import ItemTail
from app.list_options import ListOptions, TrendingOptions
from app.metrics import Metrics
from app.trends import Trend, Trends
from engine.errors import StoreError
from engine.items import ItemTable
from engine.newest_order import NewestOrder
from engine.recommendation import Recommendation, RecommendedItem
from engine.recommender import POPULAR
from engine.selection import Selection

LOOKED_UP = 1_000
"""So many wanted items are looked up one by one; more are looked for among those that trend."""
TRENDING, LATEST = "trending", "latest"
Booleans = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int64]


class Lists:
    """Hidden and deleted items are in no list, and none has fewer than n items as long as so many are wanted."""

    def __init__(
        self,
        items: ItemTable,
        filtering: Filtering,
        trends: Trends,
        tail: ItemTail,
        metrics: Metrics,
        model_version: str,
    ) -> None:
        self._trends = trends
        self._items = items
        self._filtering = filtering
        self._tail = tail
        self._metrics = metrics
        self._model_version = model_version
        self._newest = NewestOrder(items)

    async def popular(self, options: ListOptions) -> bytes:
        """Return the items with most training events, which are their scores; live ones follow, newest first."""
        started = time.perf_counter()
        wanted = await self._wanted(options)
        return self._answer(self._popular(options.n, wanted), POPULAR, options, started)

    async def latest(self, options: ListOptions) -> bytes:
        """Return live items, newest first; then the bundle's by year, newest first, ties by popularity.

        The score of a live item is when it was added, in unix seconds; that of an item of the bundle is 0.
        """
        started = time.perf_counter()
        wanted = await self._wanted(options)
        live = self._newest_live(options.n, wanted)
        of_bundle = self._newest.first(options.n - len(live), lambda rows: self._fits(rows, wanted))
        added_at = self._items.rows.added_at.rows[live - len(self._items) - 1]
        items = [*self._named(live, added_at, LATEST), *self._named(of_bundle, np.zeros(len(of_bundle)), LATEST)]
        return self._answer(items, LATEST, options, started)

    async def trending(self, options: TrendingOptions) -> bytes:
        """Return the items with most events lately; then popular ones without any, whose score is 0.

        Without the store the popular items stand in for them.
        """
        started = time.perf_counter()
        wanted = await self._wanted(options)
        try:
            trends = await self._trending(options, wanted)
        except StoreError:
            items = self._popular(options.n, wanted)
            return self._answer(items, POPULAR, options, started, STORE_UNREACHABLE)
        items = [RecommendedItem(each.item_id, each.score, None, (TRENDING,)) for each in trends]
        items += self._others(options.n - len(items), wanted, [each.item_id for each in trends])
        return self._answer(items, TRENDING, options, started)

    async def _wanted(self, options: ListOptions) -> Selection | None:
        """Return which items may be answered, None for all; raises QueryError for a filter that cannot be used."""
        await self._filtering.prepare(options.categories, options.match, options.filter, ())
        return self._filtering.selection(options.categories, options.match, options.filter)

    async def _trending(self, options: TrendingOptions, wanted: Selection | None) -> list[Trend]:
        def are_wanted(item_ids: Sequence[str]) -> Booleans:
            rows = self._items.vocabulary.indices_of(item_ids)
            return (rows >= 0) & self._fits(rows, wanted)

        if wanted is not None and len(wanted) <= LOOKED_UP:
            item_ids = [self._items.vocabulary.id_of(row) for row in wanted.rows.tolist()]
            trends = await self._trends.of(options.window, item_ids)
        else:
            trends = await self._trends.best(options.window, options.n, are_wanted)
        # While the store was asked, an item may have been deleted.
        still = are_wanted([each.item_id for each in trends])
        return list(compress(trends, still))[: options.n]

    def _popular(self, n: int, wanted: Selection | None) -> list[RecommendedItem]:
        rows = self._most_popular(n, wanted)
        return self._named(rows, self._items.column("popularity", rows), POPULAR)

    def _others(self, n: int, wanted: Selection | None, taken: Sequence[str]) -> list[RecommendedItem]:
        rows = self._most_popular(n + len(taken), wanted)
        rows = rows[~np.isin(rows, self._items.vocabulary.indices_of(taken))][:n]
        return self._named(rows, np.zeros(len(rows)), POPULAR)

    def _newest_live(self, n: int, wanted: Selection | None) -> Indices:
        rows = self._items.rows
        live = np.arange(rows.end - 1, rows.base, -1)
        live = live[self._fits(live, wanted)]
        return live[_largest(rows.added_at.rows[live - rows.base - 1], n)]

    def _most_popular(self, n: int, wanted: Selection | None) -> Indices:
        popular = self._items.popular
        if wanted is not None and len(wanted) <= LOOKED_UP:
            return popular.sorted(wanted.rows)[:n]
        return popular.first(n, None if wanted is None else wanted.contains)

    def _fits(self, rows: Indices, wanted: Selection | None) -> Booleans:
        permitted = ~self._items.rows.forbidden.hits(rows)
        return permitted if wanted is None else permitted & wanted.contains(rows)

    def _named(self, rows: Indices, scores: npt.NDArray[np.floating], reason: str) -> list[RecommendedItem]:
        id_of = self._items.vocabulary.id_of
        pairs = zip(rows.tolist(), scores.tolist(), strict=True)
        return [RecommendedItem(id_of(row), score, None, (reason,)) for row, score in pairs]

    def _answer(
        self,
        items: Sequence[RecommendedItem],
        source: str,
        options: ListOptions,
        started: float,
        degraded: str | None = None,
    ) -> bytes:
        # Of a store that is away, the newest changes of items are unknown.
        degraded = degraded or (STORE_UNREACHABLE if self._tail.is_away else None)
        self._metrics.answers.labels(source, "miss", degraded or "").inc()
        head = AnswerHead(user_id=None, model_version=self._model_version, degraded=degraded)
        encoded = encode_answer(head, Recommendation(tuple(items), source), self._items, options.include)
        return timed(encoded, time.perf_counter() - started)


def _largest(keys: npt.NDArray[np.float64], n: int) -> Indices:
    """Return the places of the n largest keys, largest first, those of equal ones in their order."""
    # Only those that come into question are sorted.
    least = np.partition(keys, -n)[-n] if n < len(keys) else -np.inf
    places = np.flatnonzero(keys >= least)
    return places[np.argsort(-keys[places], kind="stable")][:n]
