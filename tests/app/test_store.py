"""The store against a real server: atomic, exactly once, version-checked."""

from __future__ import annotations

import os
import signal
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import opened_store
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis import Redis

from app.embedded_store import EmbeddedStore
from app.keys import Keys
from app.settings import Settings
from app.store import Outcome, Store
from engine.errors import ConfigError, StoreError
from engine.events import Event, History

T = TypeVar("T")
SETTINGS = Settings(history_limit=10)


def with_store(url: str, work: Callable[[Store], Awaitable[T]], settings: Settings = SETTINGS) -> T:
    return opened_store.with_store(url, work, settings)


def event(user_id: str, item_id: str, timestamp: float = 1.0, event_id: str = "", value: float = 4.0) -> Event:
    return Event(user_id, item_id, "rating", value, timestamp, event_id or uuid.uuid4().hex)


@pytest.fixture
def user_id() -> str:
    return uuid.uuid4().hex


def test_a_write_is_read_back_with_its_version(store_url: str, user_id: str) -> None:
    async def work(store: Store) -> None:
        first, second = event(user_id, "a", 1.0), event(user_id, "b", 2.0)
        written = await store.write([first, second])
        assert [(each.outcome, each.version) for each in written] == [(Outcome.WRITTEN, 1), (Outcome.WRITTEN, 2)]
        state = await store.read(user_id, "field")
        assert (state.version, state.cached) == (2, None)
        assert state.history == History((first, second))

    with_store(store_url, work)


def test_an_unknown_user_has_an_empty_history_of_version_0(store_url: str, user_id: str) -> None:
    state = with_store(store_url, lambda store: store.read(user_id, "field"))
    assert (state.version, state.cached, state.history) == (0, None, History())


def test_a_repeated_event_id_counts_once_and_answers_what_the_first_did(store_url: str, user_id: str) -> None:
    async def work(store: Store) -> None:
        rated = event(user_id, "a", event_id="once" + user_id)
        await store.write([rated, event(user_id, "b")])
        again = await store.write([rated])
        assert (again[0].outcome, again[0].version) == (Outcome.DUPLICATE, 1)
        assert (await store.read(user_id, "f")).version == 2

    with_store(store_url, work)
    with Redis.from_url(store_url) as redis:
        log = redis.xrange(Keys.of(user_id, SETTINGS.partitions).log)
    assert sum(user_id.encode() in entry[b"event"] and b'"item_id":"a"' in entry[b"event"] for _, entry in log) == 1


def test_an_event_id_cannot_be_used_for_another_rating(store_url: str, user_id: str) -> None:
    async def work(store: Store) -> None:
        await store.write([event(user_id, "a", event_id="taken" + user_id)])
        again = await store.write([event(user_id, "b", event_id="taken" + user_id)])
        assert again[0].outcome is Outcome.CONFLICT
        assert (await store.read(user_id, "f")).version == 1

    with_store(store_url, work)


def test_events_that_arrive_out_of_order_give_the_history_in_order(store_url: str, user_id: str) -> None:
    async def work(store: Store) -> tuple[str, ...]:
        await store.write([event(user_id, "late", 9.0), event(user_id, "early", 1.0), event(user_id, "tie", 9.0)])
        return tuple(each.item_id for each in (await store.read(user_id, "f")).history.events)

    assert with_store(store_url, work) == ("early", "late", "tie")


def test_the_history_keeps_the_newest_events_only(store_url: str, user_id: str) -> None:
    async def work(store: Store) -> list[str]:
        await store.write([event(user_id, str(number), float(number)) for number in range(25)])
        return [each.item_id for each in (await store.read(user_id, "f")).history.events]

    assert with_store(store_url, work) == [str(number) for number in range(15, 25)]


def test_an_answer_is_cached_only_for_the_version_it_was_computed_from(store_url: str, user_id: str) -> None:
    async def work(store: Store) -> None:
        await store.write([event(user_id, "a")])
        assert not await store.keep(user_id, 0, "f", b"stale")
        assert (await store.read(user_id, "f")).cached is None
        assert await store.keep(user_id, 1, "f", b"fresh")
        assert (await store.read(user_id, "f")).cached == b"fresh"
        assert (await store.read(user_id, "another model or n")).cached is None
        await store.write([event(user_id, "b")])
        assert (await store.read(user_id, "f")).cached is None

    with_store(store_url, work)


def test_a_user_s_cache_is_bounded(store_url: str, user_id: str) -> None:
    async def work(store: Store) -> None:
        for number in range(100):
            await store.keep(user_id, 0, f"m:{number}", b"x")

    with_store(store_url, work)
    with Redis.from_url(store_url) as redis:
        key = Keys.of(user_id, SETTINGS.partitions).cache
        assert 0 < redis.hlen(key) <= 16
        assert 0 < redis.ttl(key) <= SETTINGS.cache_seconds


def test_loading_twice_changes_nothing_and_keeps_the_order_of_ties(store_url: str, user_id: str) -> None:
    known = History(tuple(event(user_id, item, 5.0) for item in "zyxabc"))

    async def work(store: Store) -> None:
        assert await store.load([known]) == 6
        before = await store.read(user_id, "f")
        assert [each.item_id for each in before.history.events] == list("zyxabc")
        await store.keep(user_id, before.version, "f", b"answer")
        await store.load([known])
        assert (await store.read(user_id, "f")).cached == b"answer"
        written = await store.write([event(user_id, "new", 6.0)])
        assert written[0].version > before.version

    with_store(store_url, work)


@settings(max_examples=60, deadline=None)
@given(
    user=st.text(min_size=1, max_size=40).filter(lambda text: "\0" not in text),
    item=st.text(min_size=1, max_size=40),
    value=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    timestamp=st.floats(0, 4e9),
)
def test_any_event_survives_the_store(
    store_url: str, user: str, item: str, value: float | None, timestamp: float
) -> None:
    user_id = f"{uuid.uuid4().hex}/{user}"
    kept = Event(user_id, item, "rating", value, timestamp, uuid.uuid4().hex)

    async def work(store: Store) -> History:
        await store.write([kept])
        return (await store.read(user_id, "f")).history

    assert with_store(store_url, work) == History((kept,))


def test_all_keys_of_a_user_lie_in_one_slot() -> None:
    for user_id in ("42", "a/b", "{curly}", "}{", "ключ"):
        keys = Keys.of(user_id, 64)
        named = (keys.log, keys.history, keys.items, keys.version, keys.cache, keys.event("e"))
        tags = {key[: key.index("}") + 1] for key in named}
        assert len(tags) == 1
        assert next(iter(tags)).startswith("{p")


def test_users_are_spread_over_all_partitions() -> None:
    assert len({Keys.of(str(user), 64).log for user in range(2_000)}) == 64


def test_another_number_of_partitions_is_refused(store_url: str) -> None:
    async def work(_store: Store) -> None: ...

    with_store(store_url, work)
    with pytest.raises(ConfigError, match="store was made with 64; set it to 64"):
        with_store(store_url, work, Settings(partitions=8))


def test_a_store_that_is_not_there_is_named() -> None:
    async def work(_store: Store) -> None: ...

    with pytest.raises(StoreError, match="check that it runs"):
        with_store("redis://127.0.0.1:1", work)


@pytest.mark.parametrize(("durable", "accepted"), [("never", False), ("no", False), ("everysec", True)])
def test_a_store_must_be_able_to_promise_durability(store_url: str, user_id: str, durable: str, accepted: bool) -> None:
    async def work(store: Store) -> None:
        written = await store.write([event(user_id, "a")])
        assert written[0].version == 1

    with Redis.from_url(store_url) as redis:
        if durable == "never":
            redis.config_set("appendonly", "no")
        else:
            redis.config_set("appendfsync", durable)
        try:
            if accepted:
                with_store(store_url, work)
                return
            with pytest.raises(ConfigError, match="--appendfsync always"):
                with_store(store_url, work)
            with_store(store_url, work, Settings(allow_volatile=True, history_limit=10))
        finally:
            redis.config_set("appendonly", "yes")
            redis.config_set("appendfsync", "always")


def test_rating_an_item_again_pushes_nothing_out_and_an_old_rating_still_counts_as_seen(
    store_url: str, user_id: str
) -> None:
    async def work(store: Store) -> None:
        await store.write([event(user_id, str(number), 100.0 + number) for number in range(10)])
        for again in range(15):
            await store.write([event(user_id, "9", 200.0 + again)])
        history = (await store.read(user_id, "f")).history
        assert sorted(each.item_id for each in history.events) == [str(number) for number in range(10)]
        assert history.events[-1].timestamp == 214.0
        await store.write([event(user_id, "older than all", 1.0)])
        state = await store.read(user_id, "f")
        assert "older than all" in state.history.seen() | state.seen

    with_store(store_url, work)


def test_an_older_rating_of_an_item_does_not_replace_a_newer_one(store_url: str, user_id: str) -> None:
    async def work(store: Store) -> list[tuple[float, float | None]]:
        await store.write([event(user_id, "a", 5.0, value=5.0), event(user_id, "a", 2.0, value=1.0)])
        return [(each.timestamp, each.value) for each in (await store.read(user_id, "f")).history.events]

    assert with_store(store_url, work) == [(5.0, 5.0)]


def test_loading_a_file_that_has_grown_adds_what_is_new(store_url: str, user_id: str) -> None:
    views = [Event(user_id, item, "view", None, float(time)) for time, item in enumerate("abcab")]

    async def work(store: Store) -> None:
        await store.load([History.of(views[1:])])
        await store.load([History.of(views)])
        assert (await store.read(user_id, "f")).history == History.of(views)

    with_store(store_url, work)


def test_long_histories_of_many_users_load(store_url: str) -> None:
    def history(number: int) -> History:
        return History(tuple(event(f"long {number}", str(item), float(item)) for item in range(1_000)))

    assert with_store(store_url, lambda store: store.load(map(history, range(60)))) == 60_000


def test_the_same_event_id_of_another_user_is_another_event(store_url: str, user_id: str) -> None:
    async def work(store: Store) -> list[Outcome]:
        both = [event(user_id, "a", event_id="k"), event(user_id + "2", "a", event_id="k")]
        return [each.outcome for each in await store.write(both)]

    assert with_store(store_url, work) == [Outcome.WRITTEN, Outcome.WRITTEN]


def test_a_server_that_forgot_its_scripts_is_told_again(store_url: str, user_id: str) -> None:
    async def work(store: Store) -> int:
        await store.write([event(user_id, "a")])
        with Redis.from_url(store_url) as redis:
            redis.script_flush()
        return (await store.write([event(user_id, "b")]))[0].version

    assert with_store(store_url, work) == 2


def test_a_store_that_may_evict_is_refused(store_url: str) -> None:
    async def work(_store: Store) -> None: ...

    with Redis.from_url(store_url) as redis:
        redis.config_set("maxmemory-policy", "allkeys-lru")
        try:
            with pytest.raises(ConfigError, match=r"allkeys-lru.*noeviction"):
                with_store(store_url, work)
        finally:
            redis.config_set("maxmemory-policy", "noeviction")


def test_what_was_trimmed_is_still_seen_however_often_items_were_viewed(store_url: str, user_id: str) -> None:
    views = [Event(user_id, "first", "view", None, 0.0)]
    views += [
        Event(user_id, f"i{item}", "view", None, 1.0 + item + again / 10) for item in range(5) for again in range(3)
    ]

    async def work(store: Store) -> frozenset[str]:
        await store.load([History.of(views)])
        state = await store.read(user_id, "f")
        assert len(state.history.events) == 10
        return state.seen | state.history.seen()

    assert "first" in with_store(store_url, work)


def test_loading_a_long_history_again_changes_nothing(store_url: str, user_id: str) -> None:
    known = History(tuple(event(user_id, str(item), float(item)) for item in range(15)))

    async def work(store: Store) -> tuple[int, int]:
        await store.load([known])
        first = await store.read(user_id, "f")
        await store.load([known])
        second = await store.read(user_id, "f")
        assert first.history == second.history
        return first.version, second.version

    first, second = with_store(store_url, work)
    assert first == second


def test_what_this_host_timed_never_counts_as_older(store_url: str, user_id: str) -> None:
    async def work(store: Store) -> list[tuple[str, float | None]]:
        await store.write([event(user_id, "a", 100.0, value=5.0), event(user_id, "b", 101.0)])
        late = event(user_id, "a", 98.5, value=1.0)
        await store.write([late], timed_here={late.event_id})
        return [(each.item_id, each.value) for each in (await store.read(user_id, "f")).history.events]

    assert with_store(store_url, work) == [("b", 4.0), ("a", 1.0)]


def test_a_hung_store_is_given_up_in_time(store_url: str, tmp_path: Path) -> None:
    with EmbeddedStore(tmp_path) as hung:

        async def work(store: Store) -> float:
            os.kill(hung.pid, signal.SIGSTOP)
            started = time.monotonic()
            with pytest.raises(StoreError, match="Timeout"):
                await store.read("anyone", "f")
            return time.monotonic() - started

        try:
            assert with_store(hung.url, work, Settings(store_timeout_seconds=0.3)) < 2.0
        finally:
            os.kill(hung.pid, signal.SIGCONT)
