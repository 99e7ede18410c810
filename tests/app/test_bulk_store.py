"""Many events written at once leave the store as if each had been written alone."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Any

import pytest
from opened_store import with_store
from redis import Redis

from app.bulk_store import BulkStore
from app.settings import Settings
from app.store import Outcome, Store
from app.user_store import UserStore
from engine.events import Event

LIMIT, LOT, HALF_HOUR = 12, 300, 1_800
KINDS = ("rating", "rating", "rating", "like", "dislike", "view", "purchase")


def events_of(seed: int, count: int) -> list[Event]:
    """Return events of few users on few items, in any order of time, some of which come twice or under a used id."""
    chance, events = random.Random(seed), list[Event]()
    for number in range(count):
        if events and chance.random() < 0.1:
            event = chance.choice(events)
            events.append(event if chance.random() < 0.5 else event._replace(item_id="another"))
            continue
        kind = chance.choice(KINDS)
        value = float(chance.randint(1, 5)) if kind == "rating" else None
        user_id, item_id = f"u:{chance.randrange(9)}", f"item “{chance.randrange(25)}”"
        events.append(Event(user_id, item_id, kind, value, float(chance.randrange(500)), f"e:{number}", "r"))
    return events


def timed_here(events: Sequence[Event]) -> set[str]:
    return {event.event_id for event in events if event.event_id.endswith(("3", "7"))}


async def alone(store: Store, events: Sequence[Event], here: set[str]) -> list[Outcome]:
    return [(await store.write([event], here))[0].outcome for event in events]


async def at_once(store: Store, events: Sequence[Event], here: set[str]) -> list[Outcome]:
    bulk, outcomes = BulkStore(store), list[Outcome]()
    for start in range(0, len(events), LOT):
        outcomes += await bulk.write_events(events[start : start + LOT], here)
    return outcomes


def state(url: str, tenant: str) -> dict[bytes, Any]:
    """Return all that a namespace holds, with the hours that it has left; without what nobody but the clock decides."""
    with Redis.from_url(url) as redis:
        found = {}
        for key in redis.scan_iter(f"{tenant}:*", 1_000):
            name = key.removeprefix(f"{tenant}:".encode())
            if not name.startswith((b"liverec:", b"{trend}")):
                found[name] = (_content(redis, key), (redis.ttl(key) + HALF_HOUR) // (2 * HALF_HOUR))
    return found


def _content(redis: Redis, key: bytes) -> object:
    match redis.type(key):
        case b"stream":
            return [fields for _, fields in redis.xrange(key)]
        case b"zset":
            return redis.zrange(key, 0, -1, withscores=True)
        case b"hash":
            return {} if key.endswith(b":forgotten") else redis.hgetall(key)
        case _:
            return redis.get(key)


@pytest.mark.parametrize(("seed", "days"), [(0, (0, 0)), (1, (3, 3)), (2, (3, 0)), (3, (0, 3))])
def test_the_store_is_the_same(store_url: str, seed: int, days: tuple[int, int]) -> None:
    before, after = (Settings(history_limit=LIMIT, history_days=each) for each in days)
    events = events_of(seed, 600)
    first, rest = events[:200], events[200:]
    outcomes, states = [], []
    for write in (alone, at_once):
        tenant = f"bulk{seed}{write.__name__.replace('_', '')}"

        async def prepare(store: Store, tenant: str = tenant) -> list[Outcome]:
            mine = await Store.of(store.connection.within(tenant))
            found = await alone(mine, first, set())
            # Nothing cached may outlive the events, and a user who was forgotten goes on counting.
            await mine.keep("u:1", (await mine.read("u:1", "")).version, "field", b"answer")
            await UserStore(mine).forget("u:2")
            return found

        async def go_on(store: Store, tenant: str = tenant, write: Any = write) -> list[Outcome]:
            mine = await Store.of(store.connection.within(tenant))
            return await write(mine, rest, timed_here(rest))

        outcomes.append(with_store(store_url, prepare, before) + with_store(store_url, go_on, after))
        states.append(state(store_url, tenant))
    assert outcomes[0] == outcomes[1]
    assert set(outcomes[0]) == set(Outcome)
    assert states[0] == states[1]
    assert not any(b":c:" in key for key in states[1])


def test_what_is_repeated_changes_nothing(store_url: str) -> None:
    events = events_of(7, 300)

    async def work(store: Store) -> None:
        mine = await Store.of(store.connection.within("bulkrepeated"))
        first = await at_once(mine, events, set())
        before = state(store_url, "bulkrepeated")
        again = await at_once(mine, events, set())
        assert Outcome.WRITTEN not in again
        assert [each is Outcome.CONFLICT for each in again] == [each is Outcome.CONFLICT for each in first]
        assert state(store_url, "bulkrepeated") == before

    with_store(store_url, work, Settings(history_limit=LIMIT))


def test_a_server_that_has_lost_its_scripts_gets_them_again(store_url: str) -> None:
    async def work(store: Store) -> None:
        bulk = BulkStore(await Store.of(store.connection.within("bulkscripts")))
        with Redis.from_url(store_url) as redis:
            redis.script_flush()
        assert await bulk.write_events(events_of(8, 2)) == [Outcome.WRITTEN] * 2

    with_store(store_url, work, Settings())


def test_who_is_cancelled_leaves_no_answer_for_others(store_url: str) -> None:
    async def work(store: Store) -> None:
        mine = await Store.of(store.connection.within("bulkcancelled"))
        writing = asyncio.create_task(BulkStore(mine).write_events(events_of(9, 800)))
        await asyncio.sleep(0.005)
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        assert [await mine.version("nobody") for _ in range(3)] == [0, 0, 0]
        assert (await mine.write([Event("x", "a", "rating", 3.0, 1.0, "e")]))[0].version == 1

    with_store(store_url, work, Settings())
