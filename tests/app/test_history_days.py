"""LIVEREC_HISTORY_DAYS: a user of whom nothing is heard is unknown again, and no cached answer outlives the history."""

from __future__ import annotations

import asyncio
import time

from redis import Redis

from app.history_check import HistoryCheck
from app.keys import Keys
from app.settings import Settings
from app.store import SECONDS_PER_DAY, Store
from engine.events import Event, History

EVENT = Event("alice", "1", "rating", 5.0, 1.0, "e-1")
KEYS = Keys.of("alice", 64)
KEPT = (KEYS.history, KEYS.items, KEYS.opinions)


def run(url: str, days: int, *steps: str) -> None:
    async def work() -> None:
        store = await Store.connect(url, Settings(history_days=days, cache_seconds=86_400))
        try:
            for step in steps:
                if step == "load":
                    await store.load([History((EVENT,))])
                elif step == "keep":
                    assert await store.keep("alice", (await store.read("alice", "")).version, "f", b"{}")
                else:
                    await store.write([Event("alice", step, "rating", 5.0, 1.0, step)])
        finally:
            await store.close()

    asyncio.run(work())


def lives(redis: Redis) -> list[int]:
    return [redis.ttl(key) for key in KEPT]


def test_each_event_begins_the_days_anew(url: str) -> None:
    with Redis.from_url(url) as redis:
        for step in ("load", "a", "b"):
            run(url, 3, step)
            assert all(3 * SECONDS_PER_DAY - 60 < each <= 3 * SECONDS_PER_DAY for each in lives(redis))
            for key in KEPT:
                redis.expire(key, 1_000)
        run(url, 3, "a")
        assert all(each <= 1_000 for each in lives(redis)), "a repeated event is none"


def test_without_it_histories_stay(url: str) -> None:
    with Redis.from_url(url) as redis:
        run(url, 0, "load", "a")
        assert lives(redis) == [-1] * 3
        run(url, 3, "b")
        assert max(lives(redis)) > 0
        run(url, 0, "c")
        assert lives(redis) == [-1] * 3, "it was switched off, and the user is heard of"


def test_an_answer_goes_no_later_than_its_history(url: str) -> None:
    with Redis.from_url(url) as redis:
        run(url, 3, "a")
        for key in KEPT:
            redis.expire(key, 500)
        run(url, 3, "keep")
        assert 0 < redis.ttl(KEYS.cache) <= 500
        run(url, 0, "b")
        redis.persist(KEYS.history)
        run(url, 0, "keep")
        assert 500 < redis.ttl(KEYS.cache) <= 86_400


def test_versions_go_on_where_they_were(url: str) -> None:
    with Redis.from_url(url) as redis:
        run(url, 3, "a", "b", "keep")
        redis.delete(*KEPT, KEYS.cache)
        run(url, 3, "c")
        assert redis.get(KEYS.version) == b"3"
        assert redis.zcard(KEYS.history) == 1


def test_a_history_that_went_is_no_finding(url: str) -> None:
    def problems(days: int) -> list[str]:
        async def work() -> list[str]:
            store = await Store.connect(url, Settings(history_days=days))
            try:
                return [text for each in await HistoryCheck(store, None, "").findings() for text in each.examples]
            finally:
                await store.close()

        return asyncio.run(work())

    with Redis.from_url(url) as redis:
        run(url, 3, "a", "b")
        assert problems(3) == []
        redis.delete(*KEPT)
        # As if they had come a week ago.
        old = [fields for _, fields in redis.xrange(KEYS.log)]
        week_ago = int(time.time() - 7 * SECONDS_PER_DAY) * 1_000
        redis.delete(KEYS.log)
        for number, fields in enumerate(old):
            redis.xadd(KEYS.log, fields, f"{week_ago}-{number + 1}")
        assert problems(3) == []
        assert problems(0) != []
        run(url, 3, "c")
        assert problems(3) == []
