"""Rates of keys: counted for all workers together, and in each alone while the store is away."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import httpx
import pytest
from key_ring import KeyRing, keyed, sent
from limits import RateLimitItemPerHour, RateLimitItemPerSecond
from problem_document import check

from app.api_keys import ApiKey, Scope
from app.embedded_store import EmbeddedStore
from app.metrics import Metrics
from app.rate_limits import MOST_REFUSED, RateLimits
from app.settings import Settings
from app.store_connection import StoreConnection

HOUR = RateLimitItemPerHour(5)


def key_of(name: str, tenant: str = "", limit=HOUR) -> ApiKey:
    return ApiKey(name, b"", frozenset({Scope.READ}), tenant, limit, float("inf"))


async def passed(limits: RateLimits, key: ApiKey, times: int) -> int:
    return sum([await limits.wait(key) is None for _ in range(times)])


def test_two_workers_share_a_rate(start, url: str, tmp_path: Path) -> None:
    ring = KeyRing(tmp_path / "keys.toml")
    slow, free = ring.add("read", rate="7/hour"), ring.add("read")
    service = start(workers=2, redis_url=url, LIVEREC_VAR=str(tmp_path / "v"), **keyed(ring))
    # A connection each, so that both workers get some.
    http = httpx.Client(base_url=service.http.base_url, limits=httpx.Limits(max_keepalive_connections=0))
    statuses = [http.get("/popular", headers=sent(slow)).status_code for _ in range(25)]
    assert (statuses.count(200), statuses.count(429)) == (7, 18)
    assert {http.get("/popular", headers=sent(free)).status_code for _ in range(25)} == {200}
    refused = service.http.get("/popular", headers=sent(slow))
    check(refused, 429, "7 requests in 3600 s")
    assert 1 <= int(refused.headers["retry-after"]) <= 3_600
    assert refused.headers["ratelimit-policy"] == '"key";q=7;w=3600'
    assert refused.headers["ratelimit"].startswith('"key";r=0;t=')


def test_who_waits_as_told_gets_through(start, url: str, tmp_path: Path) -> None:
    ring = KeyRing(tmp_path / "keys.toml")
    key = ring.add("read", rate="2/second")
    service = start(redis_url=url, **keyed(ring))
    for _ in range(4):
        while (answer := service.http.get("/popular", headers=sent(key))).status_code == 200:
            pass
        time.sleep(int(answer.headers["retry-after"]))
        assert service.http.get("/popular", headers=sent(key)).status_code == 200
        time.sleep(1)


def test_buckets_are_of_a_tenant_and_a_name(url: str) -> None:
    async def run() -> None:
        connection = await StoreConnection.connect(url, Settings())
        try:
            one, two = RateLimits(Metrics()), RateLimits(Metrics())
            for each in (one, two):
                each.share(connection)
            assert await passed(one, key_of("shop"), 4) == 4
            assert await passed(two, key_of("shop"), 4) == 1
            assert await passed(two, key_of("shop", "acme"), 7) == 5
            assert await passed(one, key_of("other"), 7) == 5
            assert await passed(one, key_of("none", limit=None), 9) == 9
            names = [name async for name in connection.redis.scan_iter()]
            assert all(name.startswith(b"liverec:rate:") for name in names)
        finally:
            await connection.close()

    asyncio.run(run())


@pytest.mark.parametrize("how", ["hangs", "is gone"])
def test_without_the_store_each_worker_counts_alone(tmp_path: Path, how: str) -> None:
    async def run(store: EmbeddedStore) -> None:
        connection = await StoreConnection.connect(store.url, Settings())
        metrics = Metrics()
        limits = RateLimits(metrics)
        limits.share(connection)
        assert await passed(limits, key_of("before"), 7) == 5
        pid = (await connection.redis.info("server"))["process_id"]
        os.kill(pid, signal.SIGSTOP if how == "hangs" else signal.SIGKILL)
        started = time.monotonic()
        try:
            assert await passed(limits, key_of("shop"), 50) == 5
            # Asked once, not with every request: that would take 50 times as long.
            assert time.monotonic() - started < 2.5
            assert b"liverec_limited_alone_total 6.0" in metrics.render()
        finally:
            if how == "hangs":
                os.kill(pid, signal.SIGCONT)
        if how == "hangs":
            await asyncio.sleep(1.1)
            assert await passed(limits, key_of("after"), 7) == 5
            assert b"liverec_limited_alone_total 6.0" in metrics.render()
        await connection.close()

    with EmbeddedStore(tmp_path) as store:
        asyncio.run(run(store))


def test_who_was_refused_is_not_counted_again(url: str) -> None:
    async def run() -> None:
        connection = await StoreConnection.connect(url, Settings())
        limits = RateLimits(Metrics())
        limits.share(connection)
        key = key_of("shop", limit=RateLimitItemPerSecond(3))
        assert await passed(limits, key, 10) == 3
        before = (await connection.redis.info("commandstats"))["cmdstat_evalsha"]["calls"]
        assert await passed(limits, key, 10) == 0
        after = (await connection.redis.info("commandstats"))["cmdstat_evalsha"]["calls"]
        assert after == before
        await connection.close()

    asyncio.run(run())


def test_another_rate_counts_at_once() -> None:
    async def run() -> None:
        limits = RateLimits(Metrics())
        assert await passed(limits, key_of("shop", limit=RateLimitItemPerHour(2)), 9) == 2
        assert await passed(limits, key_of("shop", limit=RateLimitItemPerHour(100)), 9) == 9
        assert await passed(limits, key_of("shop", limit=RateLimitItemPerHour(2)), 9) == 0

    asyncio.run(run())


def test_what_is_remembered_of_the_refused_is_bounded() -> None:
    async def run() -> None:
        limits = RateLimits(Metrics())
        for number in range(MOST_REFUSED + 50):
            assert await passed(limits, key_of(f"shop-{number}", limit=RateLimitItemPerHour(1)), 2) == 1
        assert len(limits._free_from) <= MOST_REFUSED

    asyncio.run(run())
