"""A user who is forgotten leaves no trace in the store, whatever breaks off and whoever writes meanwhile."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

import opened_store
import pytest
from redis import Redis

from app.embedded_store import EmbeddedStore
from app.settings import Settings
from app.store import Outcome, Store, Written
from app.user_store import AT_ONCE, UserStore
from engine.errors import StoreError
from engine.events import Event, History

T = TypeVar("T")
ODD = 'forget me/ключ "x" {p1}'
SETTINGS = Settings(history_limit=1_000)


def with_store(url: str, work: Callable[[Store], Awaitable[T]], settings: Settings = SETTINGS) -> T:
    return opened_store.with_store(url, work, settings)


def event(user_id: str, item_id: str, timestamp: float = 1.0, kind: str = "rating", event_id: str = "") -> Event:
    value = 4.0 if kind == "rating" else None
    return Event(user_id, item_id, kind, value, timestamp, event_id or uuid.uuid4().hex)


def traces(url: str, user_id: str) -> list[str]:
    """Return the keys that contain the id, in themselves or in what they hold."""
    forms = {user_id.encode(), *(json.dumps(user_id, ensure_ascii=each)[1:-1].encode() for each in (True, False))}
    found = []
    with Redis.from_url(url) as redis:
        for key in redis.scan_iter():
            held = {
                b"string": redis.get,
                b"hash": redis.hgetall,
                b"zset": partial(redis.zrange, start=0, end=-1),
                b"stream": redis.xrange,
            }[redis.type(key)](key)
            spelled = key + b" " + b" ".join(_leaves(held))
            if any(form in spelled for form in forms):
                found.append(key.decode())
    return found


def _leaves(value: object) -> list[bytes]:
    if isinstance(value, dict):
        return [leaf for pair in value.items() for each in pair for leaf in _leaves(each)]
    if isinstance(value, (list, tuple)):
        return [leaf for each in value for leaf in _leaves(each)]
    return [value] if isinstance(value, bytes) else []


@pytest.fixture
def user_id() -> str:
    return uuid.uuid4().hex


def path(user_id: str, ending: str = "") -> str:
    return f"/users/{quote(user_id, safe='')}{ending}"


def rating(user_id: str, item: int, **more: object) -> dict[str, object]:
    return {"user_id": user_id, "item_id": f"item {item}", "rating": 5, **more}


def test_forgetting_leaves_no_trace_in_the_whole_store(start, url: str) -> None:
    service = start(redis_url=url, LIVEREC_EXPLORATION_SHARE="1")
    for user in (ODD, f"{ODD[:-1]}", "other"):
        service.http.post("/rate", json=[rating(user, item) for item in range(5)]).raise_for_status()
        service.http.post("/feedback", json={"user_id": user, "item_id": "item 7", "kind": "view"}).raise_for_status()
        service.http.delete(f"/rate/{quote(user, safe='')}/item%203").raise_for_status()
        service.http.get(f"/recommend/{quote(user, safe='')}").raise_for_status()
    place = {"recommendation_id": "r", "user_id": ODD, "item_id": "i", "rank": 1, "propensity": 0.5}
    with Redis.from_url(url) as redis:
        # More than a page, and those of others between them.
        for number in range(3 * AT_ONCE):
            user = ODD if number % 3 else "other"
            redis.xadd("liverec:exposures", {**place, "user_id": user, "timestamp": 1, "model_version": "m"})
    assert len(service.http.get(path(ODD, "/export")).json()["exposures"]) >= 2 * AT_ONCE
    other = service.http.get(path("other", "/export")).json()
    assert len(traces(url, ODD)) >= 6
    receipt = service.http.delete(path(ODD)).json()
    assert traces(url, ODD) == []
    assert receipt["exposures"] >= 2 * AT_ONCE
    counts = {name: receipt[name] for name in ("events", "seen_items", "log_entries", "event_ids", "history_version")}
    assert counts == {"events": 5, "seen_items": 5, "log_entries": 7, "event_ids": 7, "history_version": 7}
    assert receipt["out_of_reach"].keys() >= {"bundle", "offline_data"}
    assert service.http.get(path("other", "/export")).json() == other
    assert len(service.http.get(path(ODD[:-1], "/history")).json()["events"]) == 5
    again = service.http.delete(path(ODD)).json()
    assert not any(again[name] for name in ("events", "seen_items", "log_entries", "event_ids", "exposures"))
    assert again["history_version"] == 7


def test_who_comes_back_begins_anew_with_a_higher_version(service, user_id: str) -> None:
    service.http.post("/rate", json=[rating(user_id, item) for item in range(5)]).raise_for_status()
    assert service.http.delete(path(user_id)).json()["history_version"] == 5
    assert service.http.get(f"/recommend/{user_id}").json()["source"] == "popular"
    assert service.http.post("/rate", json=rating(user_id, 7)).json()["versions"] == {user_id: 6}
    answer = service.http.get(f"/recommend/{user_id}", params={"n": 24}).json()
    assert (answer["source"], answer["history_version"]) == ("rerank", 6)
    assert "item 1" in {item["item_id"] for item in answer["items"]}


def test_an_answer_from_before_never_passes_for_one_of_the_new_history(store_url: str, user_id: str) -> None:
    async def work(store: Store) -> None:
        await store.write([event(user_id, each) for each in "abc"])
        before = await store.read(user_id, "f")
        await UserStore(store).forget(user_id)
        assert not await store.keep(user_id, before.version, "f", b"stale")
        for each in "abcde":
            await store.write([event(user_id, each)])
            assert not await store.keep(user_id, before.version, "f", b"stale")
        await UserStore(store).forget(user_id)
        assert (await store.write([event(user_id, "a")]))[0].version == 9

    with_store(store_url, work)


def test_the_offline_history_of_a_forgotten_user_never_comes_back(store_url: str, user_id: str) -> None:
    forgotten = History(tuple(event(user_id, each, 5.0) for each in "abc"))
    other = History((event(user_id + " other", "a"),))

    async def work(store: Store) -> None:
        users = UserStore(store)
        assert await store.load([forgotten, other]) == 4
        assert await users.count_forgotten([user_id, user_id + " other"]) == 0
        assert (await users.forget(user_id)).events == 3
        assert await store.load([forgotten, other]) == 1
        assert (await store.read(user_id, "f")).history == History()
        back = event(user_id, "new", 6.0)
        await store.write([back])
        assert await store.load([forgotten, other]) == 1
        assert (await store.read(user_id, "f")).history == History((back,))
        assert await users.count_forgotten([user_id, user_id + " other"]) == 1

    with_store(store_url, work)


class BreaksOff(UserStore):
    """Loses its store after the first lot of a log."""

    removals = 0

    async def _remove(self, stream: str, log_ids: list[str], markers: list[str], version: int) -> tuple[int, int]:
        if self.removals:
            raise StoreError("gone")
        self.removals += 1
        return await super()._remove(stream, log_ids, markers, version)


def test_forgetting_that_broke_off_is_completed_by_repeating(url: str) -> None:
    async def work(store: Store) -> None:
        await store.write([event(ODD, str(number), number) for number in range(2 * AT_ONCE)])
        with pytest.raises(StoreError):
            await BreaksOff(store).forget(ODD)
        assert (await store.read(ODD, "f")).history == History()
        assert traces(url, ODD) != []
        rest = await UserStore(store).forget(ODD)
        assert (rest.events, rest.log_entries, rest.event_ids) == (0, AT_ONCE, AT_ONCE)
        assert rest.history_version == 2 * AT_ONCE

    with_store(url, work)
    assert traces(url, ODD) == []


def test_what_is_rated_while_a_user_is_forgotten_is_kept_and_counts_once(url: str) -> None:
    late = [event(ODD, f"late {number}", 10_000.0 + number) for number in range(300)]

    async def work(store: Store) -> None:
        users = UserStore(store)
        await store.write([event(ODD, str(number), number) for number in range(4 * AT_ONCE)])

        async def rate() -> list[Written]:
            return [(await store.write([each]))[0] for each in late]

        receipt, written = await asyncio.gather(users.forget(ODD), rate())
        kept = [each for each, done in zip(late, written, strict=True) if done.version > receipt.history_version]
        assert kept
        assert (await store.read(ODD, "f")).history == History(tuple(kept))
        export = await users.export(ODD)
        assert [each.event_id for each in export.log] == [each.event_id for each in kept]
        again = await store.write(kept)
        assert {each.outcome for each in again} == {Outcome.DUPLICATE}

    with_store(url, work)


def test_all_processes_of_a_store_and_no_others_share_its_pseudonyms(store_url: str, tmp_path: Path) -> None:
    async def name(store: Store) -> str:
        return store.pseudonyms.of_user("42")

    with EmbeddedStore(tmp_path) as other:
        elsewhere = with_store(other.url, name)
    assert with_store(store_url, name) == with_store(store_url, name) != elsewhere
    assert len(elsewhere) == 32
