"""The breaker around a real store: it opens when it must, only then, and closes by itself."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from black_hole import BlackHole
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from valkey_server import ValkeyServer

from app.settings import Settings
from app.store import Store
from app.store_breaker import FAILURES, StoreBreaker
from engine.errors import StoreError
from engine.events import Event

QUICK = Settings(read_timeout_seconds=0.2, store_timeout_seconds=0.5)
BUSY = Settings(read_timeout_seconds=0.2, store_timeout_seconds=20)
PATIENT = Settings(read_timeout_seconds=20, store_timeout_seconds=20)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    with ValkeyServer(tmp_path_factory.mktemp("server")) as one:
        yield one


def with_store(url: str, settings: Settings, work: Callable[[Store], Awaitable[None]]) -> None:
    async def run() -> None:
        store = await Store.connect(url, settings)
        try:
            await work(store)
        finally:
            await store.close()

    asyncio.run(run())


async def tried(store: Store, n: int = 1) -> tuple[int, float]:
    """Read n times at once; return how many failed and how long it took."""
    started = time.monotonic()
    results = await asyncio.gather(*(store.read(f"{each}", "") for each in range(n)), return_exceptions=True)
    assert all(isinstance(each, StoreError) for each in results if isinstance(each, BaseException)), results
    return sum(isinstance(each, StoreError) for each in results), time.monotonic() - started


def opened_by(store: Store) -> list[bool]:
    """Return what gets True when the breaker opens from now on."""
    changes: list[bool] = []
    store.connection.breaker.on_change.append(changes.append)
    return changes


async def hasty(store: Store, seconds: float) -> None:
    with suppress(TimeoutError, StoreError):
        async with asyncio.timeout(seconds):
            await store.read("anyone", "")


async def back(store: Store) -> None:
    async with asyncio.timeout(15):
        while (await tried(store))[0]:
            await asyncio.sleep(0.01)


def test_a_network_that_loses_everything_is_not_waited_for(server: ValkeyServer) -> None:
    async def work(store: Store) -> None:
        assert (await tried(store, 8))[0] == 0
        hole.swallow()
        failed, took = await tried(store, 8)
        assert (failed, took >= 0.2, store.connection.breaker.is_open) == (8, True, True)
        with pytest.raises(StoreError, match="away"):
            await store.write([Event("u", "i", "rating", 4.0, 1.0, "e")])
        hole.heal()
        await back(store)
        assert (await tried(store, 8))[0] == 0

    with BlackHole(server.port) as hole:
        with_store(f"redis://127.0.0.1:{hole.port}", QUICK, work)


def test_waiting_for_a_connection_is_part_of_the_time(server: ValkeyServer) -> None:
    async def work(store: Store) -> None:
        await tried(store)
        server.hang()
        try:
            failed, took = await tried(store, 40)
        finally:
            server.go_on()
        assert failed == 40
        # One after the other they would take four seconds.
        assert took < 2
        await back(store)

    with_store(server.url, QUICK.model_copy(update={"max_concurrency": 2}), work)


def test_who_gives_up_leaves_no_connection_behind(server: ValkeyServer) -> None:
    async def work(store: Store) -> None:
        randomness = random.Random(1)
        for _ in range(60):
            await asyncio.gather(*(hasty(store, randomness.uniform(0, 0.004)) for _ in range(10)))
        await back(store)
        assert await tried(store, 20) == (0, pytest.approx(0, abs=10))

    with_store(server.url, PATIENT.model_copy(update={"max_concurrency": 3}), work)


def test_a_process_that_was_busy_reads_the_answer_first(server: ValkeyServer) -> None:
    async def work(store: Store) -> None:
        await tried(store, 10)
        reading = asyncio.gather(*(store.read(f"{each}", "") for each in range(10)))
        await asyncio.sleep(0)
        # Neither this process nor the timers had their turn meanwhile; the store had.
        time.sleep(0.5)
        assert len(await reading) == 10
        assert not store.connection.breaker.is_open

    with_store(server.url, BUSY, work)


def test_who_waits_for_an_own_connection_says_nothing_against_the_store(server: ValkeyServer) -> None:
    async def work(store: Store) -> None:
        await tried(store)
        opened = opened_by(store)
        # What is read with every request shares one; the version alone is asked on an own one.
        asked = await asyncio.gather(*(store.version(f"{each}") for each in range(3_000)), return_exceptions=True)
        # There is one connection, and time for a part of them.
        assert sum(isinstance(each, StoreError) for each in asked) > FAILURES
        assert not opened
        assert (await tried(store))[0] == 0

    with_store(server.url, Settings(read_timeout_seconds=0.05, max_concurrency=1), work)


def test_a_process_that_is_busy_all_the_time_reads_answers_too(server: ValkeyServer) -> None:
    async def busy() -> None:
        while True:
            time.sleep(0.15)
            await asyncio.sleep(0)

    async def work(store: Store) -> None:
        await tried(store, 10)
        opened = opened_by(store)
        busily = asyncio.create_task(busy())
        results = [await tried(store, 10) for _ in range(3)]
        busily.cancel()
        assert ([failed for failed, _ in results], opened) == ([0, 0, 0], [])

    with_store(server.url, BUSY, work)


def test_deadlines_that_end_while_the_process_is_busy_open_nothing(server: ValkeyServer) -> None:
    async def work(store: Store) -> None:
        await tried(store, 10)
        opened = opened_by(store)
        for _ in range(4):
            hurried = [asyncio.create_task(hasty(store, 0.05)) for _ in range(2 * FAILURES)]
            await asyncio.sleep(0)
            time.sleep(0.3)
            await asyncio.gather(*hurried)
        assert not opened

    with_store(server.url, PATIENT, work)


def test_deadlines_too_short_for_any_answer_open_nothing(server: ValkeyServer) -> None:
    async def work(store: Store) -> None:
        await tried(store)
        opened = opened_by(store)
        for _ in range(3 * FAILURES):
            reading = asyncio.create_task(store.read("anyone", ""))
            server.hang()
            try:
                for _ in range(8):
                    await asyncio.sleep(0)
                reading.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await reading
            finally:
                server.go_on()
            await asyncio.sleep(0.03)
        assert not opened

    with_store(server.url, PATIENT, work)


@pytest.mark.parametrize("turns", range(1, 6))
def test_a_deadline_counts_whatever_the_read_is_at(server: ValkeyServer, turns: int) -> None:
    async def work(store: Store) -> None:
        await tried(store)
        server.hang()
        try:
            reading = asyncio.create_task(store.read("anyone", ""))
            for _ in range(turns):
                await asyncio.sleep(0)
            reading.cancel()
            # It would wait for 20 seconds.
            assert await asyncio.wait([reading], timeout=10) == ({reading}, set())
            assert reading.cancelled()
        finally:
            server.go_on()
        await back(store)

    with_store(server.url, PATIENT, work)


def test_deadlines_that_leave_time_open_it_one_after_the_other(server: ValkeyServer) -> None:
    async def work(store: Store) -> None:
        await tried(store)
        server.hang()
        try:
            async with asyncio.timeout(15):
                while not store.connection.breaker.is_open:
                    await hasty(store, 0.05)
        finally:
            server.go_on()
        await back(store)

    with_store(server.url, PATIENT, work)


def test_a_pause_for_a_handover_opens_once(server: ValkeyServer) -> None:
    openings: list[bool] = []

    async def work(store: Store) -> None:
        await tried(store)
        store.connection.breaker.on_change.append(openings.append)
        with Redis.from_url(server.url) as redis:
            redis.execute_command("CLIENT", "PAUSE", 1_500, "WRITE")
            # It answers PING all the while.
            assert redis.ping()
        assert (await tried(store, FAILURES))[0] == FAILURES
        await back(store)

    with_store(server.url, QUICK, work)
    assert openings == [True, False]


def test_a_store_that_reads_its_files_counts_as_away(tmp_path: Path) -> None:
    async def work(store: Store) -> None:
        await tried(store)
        server.kill()
        failed, _ = await tried(store, FAILURES)
        assert (failed, store.connection.breaker.is_open) == (FAILURES, True)
        server.spawn()
        await back(store)

    with ValkeyServer(tmp_path) as server:
        with_store(server.url, QUICK, work)


def test_only_failures_in_a_row_open_it(server: ValkeyServer) -> None:
    async def work(store: Store) -> None:
        breaker = store.connection.breaker
        for _ in range(3):
            for _ in range(FAILURES - 1):
                with pytest.raises(StoreError):
                    async with breaker.guarded(1):
                        raise RedisConnectionError
            await store.read("anyone", "")
        assert not breaker.is_open

    with_store(server.url, QUICK, work)


def test_it_closes_whatever_the_probe_raises(caplog: pytest.LogCaptureFixture) -> None:
    tries: list[None] = []

    async def probe() -> None:
        tries.append(None)
        if len(tries) == 1:
            raise ValueError("nobody foresaw this")

    async def run() -> None:
        breaker = StoreBreaker(probe)
        for _ in range(FAILURES):
            with pytest.raises(StoreError):
                async with breaker.guarded(1):
                    raise RedisConnectionError
        assert breaker.is_open
        async with asyncio.timeout(10):
            while breaker.is_open:
                await asyncio.sleep(0.01)
        await breaker.close()

    asyncio.run(run())
    assert len(tries) == 2
    assert "nobody foresaw this" in caplog.text


def test_a_write_waits_to_be_told_although_others_find_the_store_away(server: ValkeyServer) -> None:
    async def work(store: Store) -> None:
        breaker = store.connection.breaker
        await tried(store, 2)
        server.hang()
        try:
            writing = asyncio.create_task(store.write([Event("late", "i", "rating", 4.0, 1.0, "late")]))
            reading = asyncio.create_task(store.read("late", ""))
            await asyncio.sleep(0.05)
            for _ in range(FAILURES):
                with pytest.raises(StoreError):
                    async with breaker.guarded(1):
                        raise RedisConnectionError
            assert breaker.is_open
            # It would wait for 20 seconds.
            async with asyncio.timeout(10):
                with pytest.raises(StoreError):
                    await reading
        finally:
            server.go_on()
        assert (await writing)[0].version == 1
        await back(store)

    with_store(server.url, PATIENT, work)
