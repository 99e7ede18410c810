"""Workers follow the items, whatever is killed, trimmed, emptied or exchanged."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest
from item_client import admirer, answered, eventually, new, path, post
from pictures import picture, text
from problem_document import check
from redis import Redis

from app.embedded_store import EmbeddedStore
from app.item_document import ItemDocument
from app.item_store import Draft, ItemStore
from app.settings import Settings
from app.store_connection import StoreConnection


async def write(url: str, *documents: ItemDocument) -> None:
    connection = await StoreConnection.connect(url, Settings())
    await ItemStore(connection).put([Draft(each) for each in documents])
    await connection.close()


def lag(service) -> int:
    return service.http.get("/health/ready").json()["item_lag"]


def test_two_workers_see_each_other_s_items(pair) -> None:
    ids = [[str(post(service, new(5))["items"][0]["item_id"]) for _ in range(20)] for service in pair]
    user_id = admirer(pair[0], 5)
    for service in pair:
        eventually(lambda service=service: {*ids[0], *ids[1]} <= set(answered(service, user_id)))


def test_a_cached_answer_does_not_outlive_a_change_of_the_items(pair) -> None:
    user_id = admirer(pair[0], 13)
    url = f"/recommend/{user_id}?n=500"
    for service in pair:
        eventually(lambda service=service: service.http.get(url).headers["x-cache"] == "hit")
    item_id = post(pair[0], new(13))["items"][0]["item_id"]
    first = pair[0].http.get(url)
    assert first.headers["x-cache"] == "miss"
    assert item_id in {each["item_id"] for each in first.json()["items"]}
    eventually(lambda: item_id in {each["item_id"] for each in pair[1].http.get(url).json()["items"]})


def test_a_worker_that_starts_later_knows_everything_before_it_is_ready(start, pair, item_store: str) -> None:
    here, gone = (str(post(pair[0], new(4))["items"][0]["item_id"]) for _ in range(2))
    pair[0].http.delete(path(gone)).raise_for_status()
    pair[0].http.patch(path(here), json={"title": "Changed"}).raise_for_status()
    late = start(redis_url=item_store, content="1")
    assert late.http.get(path(here)).json()["metadata"] == {"title": "Changed", "near": "item 4"}
    assert here in answered(late, admirer(late, 4))
    check(late.http.get(path(gone)), 404)
    assert late.stop() == 0


@pytest.mark.parametrize("first", ["service", "store"])
def test_sigkill_loses_no_acknowledged_item(start, tmp_path: Path, first: str) -> None:
    acknowledged: list[str] = []
    for _ in range(2):
        with EmbeddedStore(tmp_path) as store:
            service = start(redis_url=store.url, content="1")
            for item_id in acknowledged:
                assert service.http.get(path(item_id)).json()["ranked_by"] == "content"
            acknowledged += [str(post(service, new(2))["items"][0]["item_id"]) for _ in range(5)]
            victims = [service.process.pid, store.pid]
            for victim in victims[:: 1 if first == "service" else -1]:
                os.kill(victim, signal.SIGKILL)
            service.stop()
    assert len(acknowledged) == 10


def test_a_trimmed_log_makes_a_worker_load_everything_again(start, tmp_path: Path) -> None:
    with EmbeddedStore(tmp_path) as store:
        writing, sleeping = (start(redis_url=store.url, content="1") for _ in range(2))
        kept, deleted = (str(post(writing, new(7))["items"][0]["item_id"]) for _ in range(2))
        eventually(lambda: lag(sleeping) == 0)
        os.kill(sleeping.process.pid, signal.SIGSTOP)
        try:
            writing.http.delete(path(deleted)).raise_for_status()
            added = [str(post(writing, new(7))["items"][0]["item_id"]) for _ in range(5)]
            with Redis.from_url(store.url) as redis:
                redis.xtrim("{items}:log", maxlen=1, approximate=False)
        finally:
            os.kill(sleeping.process.pid, signal.SIGCONT)
        user_id = admirer(writing, 7)
        eventually(lambda: {kept, *added} <= set(answered(sleeping, user_id)))
        assert deleted not in answered(sleeping, user_id)
        assert lag(sleeping) == 0
        for service in (writing, sleeping):
            service.stop()


def test_a_log_that_is_gone_makes_a_worker_load_everything_again(start, tmp_path: Path) -> None:
    with EmbeddedStore(tmp_path) as store:
        writing, sleeping = (start(redis_url=store.url, content="1") for _ in range(2))
        os.kill(sleeping.process.pid, signal.SIGSTOP)
        try:
            item_id = str(post(writing, new(7))["items"][0]["item_id"])
            with Redis.from_url(store.url) as redis:
                redis.delete("{items}:log")
        finally:
            os.kill(sleeping.process.pid, signal.SIGCONT)
        eventually(lambda: lag(sleeping) == 0)
        assert item_id in answered(sleeping, "a stranger")
        for service in (writing, sleeping):
            service.stop()


def test_an_emptied_store_is_noticed(start, tmp_path: Path) -> None:
    with EmbeddedStore(tmp_path) as store:
        service = start(redis_url=store.url, content="1")
        before = str(post(service, new(), new())["items"][0]["item_id"])
        with Redis.from_url(store.url) as redis:
            redis.flushall()
        eventually(lambda: before not in answered(service, "a stranger"))
        after = str(post(service, new())["items"][0]["item_id"])
        assert after in answered(service, "a stranger")
        service.stop()


def test_a_store_that_comes_back_with_less_is_noticed(start, tmp_path: Path) -> None:
    with EmbeddedStore(tmp_path) as store:
        service = start(redis_url=store.url, content="1")
        lost = [str(post(service, new())["items"][0]["item_id"]) for _ in range(2)]
    shutil.rmtree(tmp_path / "valkey")
    with EmbeddedStore(tmp_path) as store:
        # The numbers come again, for other items.
        asyncio.run(write(store.url, *(ItemDocument(f"other {number}") for number in range(2))))
        eventually(lambda: {"other 0", "other 1"} <= set(answered(service, "a stranger")))
        assert {*lost}.isdisjoint(answered(service, "a stranger"))
        service.stop()


def test_without_a_store_nothing_is_acknowledged_and_afterwards_all_goes_on(start, tmp_path: Path) -> None:
    item = new(9)
    with EmbeddedStore(tmp_path) as store:
        service = start(redis_url=store.url, content="1")
        post(service, item)
        service.http.patch(path("item 3"), json={"is_hidden": True}).raise_for_status()
    refused = service.http.post("/items", json=new())
    check(refused, 503)
    assert refused.headers["retry-after"] == "1"
    check(service.http.patch(path(item["item_id"]), json={"title": "x"}), 503)
    check(service.http.delete(path(item["item_id"])), 503)
    image = service.http.put(path(item["item_id"], "/image"), content=picture(), headers={"Content-Type": "image/png"})
    check(image, 503)
    shown = service.http.get(path(item["item_id"])).json()
    assert (shown["degraded"], shown["version"], shown["ranked_by"]) == ("store_unreachable", None, "content")
    for params in ({}, {"item_id": item["item_id"]}):
        page = service.http.get("/items", params=params)
        assert (page.status_code, page.json()["degraded"]) == (200, "store_unreachable")
    answer = service.http.get("/recommend/anyone", params={"n": 30}).json()
    ids = {each["item_id"] for each in answer["items"]}
    assert answer["degraded"] == "store_unreachable"
    assert item["item_id"] in ids
    assert "item 3" not in ids
    assert 'liverec_item_tail_failures_total{cause="store"}' in service.http.get("/metrics").text
    with EmbeddedStore(tmp_path):
        eventually(lambda: service.http.get("/health/ready").status_code == 200)
        other = new(9)
        post(service, other)
        assert {item["item_id"], other["item_id"]} <= set(answered(service, admirer(service, 9)))
        assert lag(service) == 0
        service.stop()


def test_vectors_of_another_content_network_are_computed_again(start, tmp_path: Path) -> None:
    with EmbeddedStore(tmp_path) as store, Redis.from_url(store.url) as redis:
        old = start(redis_url=store.url, content="1")
        items = [new(number % 24) for number in range(100)]
        items += [new(None, image=text(picture("blue"))), new(None, title="nothing to read")]
        post(old, *items)
        before = {item_id: json.loads(kept) for item_id, kept in redis.hgetall("{items}:state").items()}
        young = start(redis_url=store.url, content="2")
        eventually(lambda: b'"model":"1"' not in b"".join(redis.hvals("{items}:state")))
        after = {item_id: json.loads(kept) for item_id, kept in redis.hgetall("{items}:state").items()}
        assert {each["model"] for each in after.values()} == {"2"}
        for item_id, each in before.items():
            assert after[item_id] == {**each, "model": "2"}
        ranked = [young.http.get(path(item["item_id"])).json()["ranked_by"] for item in items]
        assert ranked == [*["content"] * 101, "popularity"]
        # While both are in service, what one adds the other reads for itself.
        for giver, taker in ((old, young), (young, old)):
            item_id = str(post(giver, new(21))["items"][0]["item_id"])
            eventually(
                lambda item_id=item_id, taker=taker: taker.http.get(path(item_id)).json()["ranked_by"] == "content"
            )
        for service in (old, young):
            service.stop()


def test_an_item_that_cannot_be_taken_keeps_out_no_other(start, tmp_path: Path) -> None:
    vectors = [np.full(5, np.nan, dtype=np.float32), np.ones(3, dtype=np.float32)]
    bad = [ItemDocument(f"bad {row}", model="1", vector=vector) for row, vector in enumerate(vectors)]
    with EmbeddedStore(tmp_path) as store:
        asyncio.run(write(store.url, *bad))
        service = start(redis_url=store.url, content="1")
        asyncio.run(write(store.url, *bad))
        item_id = str(post(service, new())["items"][0]["item_id"])
        assert {item_id, "bad 0", "bad 1"} <= set(answered(service, "a stranger"))
        assert service.http.get(path("bad 0")).json()["ranked_by"] == "popularity"
        service.stop()


def test_changes_at_the_same_time_are_all_kept(pair) -> None:
    item_id = str(post(pair[0], new())["items"][0]["item_id"])

    def change(number: int) -> int:
        with httpx.Client(base_url=pair[number % 2].http.base_url, timeout=10) as http:
            while (
                answer := http.patch(path(item_id), json={"metadata": {f"key {number}": number}})
            ).status_code == 409:
                assert "send the change again" in answer.json()["detail"]
            return answer.status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(change, range(24))) == {200}
    shown = pair[0].http.get(path(item_id)).json()["metadata"]
    assert {f"key {number}": number for number in range(24)}.items() <= shown.items()


def test_real_workers_of_one_service_hide_items_together(start, tmp_path: Path) -> None:
    with EmbeddedStore(tmp_path) as store:
        service = start(redis_url=store.url, workers=2, LIVEREC_VAR=str(tmp_path / "v"))
        limits = httpx.Limits(max_keepalive_connections=0)
        with httpx.Client(base_url=service.http.base_url, limits=limits, timeout=10) as http:
            http.patch("/items/item 6", json={"is_hidden": True}).raise_for_status()

            def is_hidden_everywhere() -> bool:
                answers = [http.get(f"/recommend/{uuid.uuid4().hex}", params={"n": 24}).json() for _ in range(20)]
                return all("item 6" not in {each["item_id"] for each in answer["items"]} for answer in answers)

            eventually(is_hidden_everywhere)
        assert 'liverec_item_lag{tenant=""} 0.0' in service.http.get("/metrics").text
        service.stop()
