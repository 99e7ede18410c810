"""Trends: how often each item was met lately, in counts that decay."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from itertools import compress
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from app.metrics import Metrics
from app.store_connection import Arguments, StoreConnection
from engine.errors import StoreError
from engine.events import Event
from engine.window import HistoryWindow

TrendWindow = Literal["hour", "day", "week"]
Wanted = Callable[[Sequence[str]], Sequence[bool] | npt.NDArray[np.bool_]]
HALF_LIVES: dict[TrendWindow, int] = {"hour": 3_600, "day": 86_400, "week": 604_800}
"""After how many seconds an event counts half."""
# One hash tag: one script touches them all, on a cluster too.
LANDMARKS = "{trend}:landmarks"
MOST_ITEMS = 100_000
"""How many items a window keeps, up to a hundredth more; those that are met least give way."""
MOST_HALVES = 64
"""How many half-lives a landmark may be away; what a number then holds is far from a float's bounds."""
NOTHING = 2.0**-40
"""What an event, or an item when the landmark moves, counts no more for."""
LEAST_SHOWN = 2.0**-16
"""What a score must be for an item to be trending; less would be shown as 0."""
LOT = 250
"""How many events are counted at once: the store does nothing else meanwhile."""
TOP, FURTHER = 1_000, 5_000
"""How many items are read at first, and at once after that."""
TOP_SECONDS = 1.0
"""How long a worker goes on with the first items that it has read."""


class Trend(NamedTuple):
    """An item with its number of events, each weighted by its value in 0..1 and halved once a half-life."""

    item_id: str
    score: float


class Trends:
    """Counts events and tells which items had most of them lately.

    Decay is forward (Cormode, Shkapenyuk, Srivastava and Xu, 2009): counting writes one number an item and window, and
    time alone changes none. `knows` tells which items count: those that nobody recommends must not push others out.
    """

    def __init__(
        self, connection: StoreConnection, window: HistoryWindow, knows: Callable[[str], bool], metrics: Metrics
    ) -> None:
        self._connection = connection
        # The client's own types tell neither bytes from str nor what a pipeline may return.
        self._redis: Any = connection.redis
        self._landmarks = connection.key(LANDMARKS)
        self._script = connection.script("trend")
        self._window = window
        self._knows = knows
        self._metrics = metrics
        self._waiting, self._is_counting = list[tuple[Event, float]](), False
        self._top: dict[TrendWindow, tuple[float, list[Trend]]] = {}
        self.clock: Callable[[], float] = time.time

    async def count(self, events: Sequence[Event]) -> None:
        """Count events; that this failed is counted and harms nobody.

        An event weighs what a network reads as its value. What has none, or a negative one, counts nothing: an undo, a
        dislike. What was counted stays counted when it is rated anew or undone.
        """
        self._waiting += self._weighted(events)
        # What comes while others are counted is counted by whoever counts them: each round trip may wait for a disk.
        if self._is_counting:
            return
        self._is_counting = True
        try:
            while self._waiting:
                lot, self._waiting = self._waiting[:LOT], self._waiting[LOT:]
                await self._count_lot(lot)
        finally:
            self._is_counting = False

    async def best(self, window: TrendWindow, n: int, are_wanted: Wanted) -> list[Trend]:
        """Return the n wanted items that trend most, fewer only where no more do; raises StoreError.

        Scores are as of now; what was counted in the last TOP_SECONDS may be missing.
        """
        found: dict[str, Trend] = {}
        lot, start, asked = await self._first(window), 0, TOP
        while True:
            wanted = are_wanted([each.item_id for each in lot])
            found |= {each.item_id: each for each in compress(lot, wanted)}
            if len(found) >= n or len(lot) < asked:
                # Between two lots an item may have come to stand higher.
                return _sorted(found.values())[:n]
            start, asked = start + asked, FURTHER
            lot = await self._read(window, start, asked)

    async def of(self, window: TrendWindow, item_ids: Sequence[str]) -> list[Trend]:
        """Return those of the items that trend, first those that do most; raises StoreError."""
        if not item_ids:
            return []
        left, reply = await self._asked(window, lambda store: store.zmscore(self._key(window), item_ids))
        scored = [(item_id, score * left) for item_id, score in zip(item_ids, reply, strict=True) if score is not None]
        return _sorted(Trend(*each) for each in scored if each[1] >= LEAST_SHOWN)

    async def _count_lot(self, lot: Sequence[tuple[Event, float]]) -> None:
        outcome = "counted"
        try:
            await self._count(lot)
        except StoreError:
            outcome = "lost"
        self._metrics.trend_events.labels(outcome).inc(len(lot))

    async def _count(self, weighted: Sequence[tuple[Event, float]]) -> None:
        now = self.clock()
        args: Arguments = [repr(now), MOST_ITEMS, MOST_HALVES, repr(NOTHING), *HALF_LIVES.values()]
        amounts = _amounts(weighted, now)
        for item_id, counts in amounts.items():
            args += [item_id, *map(repr, counts)]
        if amounts:
            keys = [self._landmarks, *(self._key(window) for window in HALF_LIVES)]
            await self._connection.run_unconfirmed(self._script, [(keys, args)], [])

    async def _first(self, window: TrendWindow) -> list[Trend]:
        read_at, top = self._top.get(window, (-TOP_SECONDS, []))
        if time.monotonic() - read_at >= TOP_SECONDS:
            read_at, top = time.monotonic(), await self._read(window, 0, TOP)
            self._top[window] = read_at, top
        return top

    async def _read(self, window: TrendWindow, start: int, n: int) -> list[Trend]:
        """Return n items from a place on, fewer where those that follow count for nothing."""
        key = self._key(window)
        left, entries = await self._asked(window, lambda store: store.zrevrange(key, start, start + n - 1, True))
        return [Trend(item_id.decode(), score * left) for item_id, score in entries if score * left >= LEAST_SHOWN]

    async def _asked(self, window: TrendWindow, ask: Callable[[Any], object]) -> tuple[float, Any]:
        """Return what is left of a number that was counted, and the store's reply."""
        # Both at once: a number means nothing beside another landmark.
        async with self._connection.reading(), self._redis.pipeline(transaction=True) as pipeline:
            pipeline.hget(self._landmarks, self._key(window))
            ask(pipeline)
            landmark, reply = await pipeline.execute()
        halves = (self.clock() - float(landmark or 0.0)) / HALF_LIVES[window]
        # As of the landmark, if that lies ahead: the power would be too large for a float.
        return 2.0 ** -max(halves, 0.0), reply

    def _weighted(self, events: Sequence[Event]) -> list[tuple[Event, float]]:
        known = [event for event in events if self._window.knows(event) and self._knows(event.item_id)]
        ratings = np.array([event.value or 0.0 for event in known], dtype=np.float64)
        values = self._window.values_of(np.array([event.kind for event in known], dtype=str), ratings)
        return [pair for pair in zip(known, values.tolist(), strict=True) if pair[1] > 0]

    def _key(self, window: TrendWindow) -> str:
        return self._connection.key(f"{{trend}}:{window}")


def _amounts(weighted: Iterable[tuple[Event, float]], now: float) -> dict[str, list[float]]:
    """Return what the events of each item count now in each window, without items that count for nothing in all."""
    amounts = dict[str, list[float]]()
    for event, weight in weighted:
        age = max(now - event.timestamp, 0.0)
        counts = [weight * 2.0 ** -(age / half_life) for half_life in HALF_LIVES.values()]
        if max(counts) >= NOTHING:
            before = amounts.setdefault(event.item_id, [0.0] * len(counts))
            amounts[event.item_id] = [
                was + (count if count >= NOTHING else 0.0) for was, count in zip(before, counts, strict=True)
            ]
    return amounts


def _sorted(trends: Iterable[Trend]) -> list[Trend]:
    return sorted(trends, key=lambda each: (-each.score, each.item_id))
