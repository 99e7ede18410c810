"""One connection for many: each gets its own reply, whatever becomes of the others and of the connection."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from redis.asyncio import BlockingConnectionPool
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, ResponseError
from valkey_server import ValkeyServer

from app.shared_connection import SharedConnection
from app.store_socket import with_store_sockets


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    with ValkeyServer(tmp_path_factory.mktemp("server")) as one:
        yield one


def with_connection(url: str, work: Callable[[SharedConnection], Awaitable[None]], **options: Any) -> None:
    async def run() -> None:
        shared = SharedConnection(with_store_sockets(BlockingConnectionPool.from_url(url, **options)))
        try:
            await work(shared)
        finally:
            shared.close()
            # What was closed is told so at the next turn.
            await asyncio.sleep(0)

    asyncio.run(run())


async def echo(shared: SharedConnection, word: str) -> None:
    assert await shared.ask([("ECHO", word)]) == [word.encode()]


@pytest.mark.parametrize("protocol", [2, 3])
def test_each_gets_its_own(server: ValkeyServer, protocol: int) -> None:
    async def work(shared: SharedConnection) -> None:
        await asyncio.gather(*(echo(shared, f"{each}" * each) for each in range(300)))
        assert await shared.ask([("ECHO", "a"), ("ECHO", b"b"), ("ECHO", 3), ("ECHO", 1.5)]) == [
            b"a",
            b"b",
            b"3",
            b"1.5",
        ]
        clients = (await shared.ask([("CLIENT", "LIST", "TYPE", "normal")]))[0]
        assert len(clients.splitlines()) == 1

    with_connection(server.url, work, protocol=protocol)


def test_who_gives_up_takes_nobody_elses_reply(server: ValkeyServer) -> None:
    async def hasty(shared: SharedConnection, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await echo(shared, "given up")
        except TimeoutError:
            pass

    async def work(shared: SharedConnection) -> None:
        chance = random.Random(1)
        for _ in range(50):
            asked = [hasty(shared, chance.uniform(0, 0.002)) for _ in range(5)]
            await asyncio.gather(*asked, *(echo(shared, f"{each}") for each in range(5)))

    with_connection(server.url, work)


def test_an_error_is_only_for_who_asked(server: ValkeyServer) -> None:
    async def work(shared: SharedConnection) -> None:
        wrong = shared.ask([("GET",)])
        strange = shared.ask([("EVALSHA", "0" * 40, 0)])
        found = await asyncio.gather(echo(shared, "a"), wrong, echo(shared, "b"), strange, return_exceptions=True)
        assert [type(each) for each in found] == [type(None), ResponseError, type(None), NoScriptError]

    with_connection(server.url, work)


def test_a_connection_that_died_is_replaced(server: ValkeyServer) -> None:
    async def work(shared: SharedConnection) -> None:
        await echo(shared, "before")
        server.kill()
        server.start()
        await asyncio.gather(*(echo(shared, f"{each}") for each in range(20)))

    with_connection(server.url, work)


def test_without_a_server_all_are_told(server: ValkeyServer) -> None:
    async def work(shared: SharedConnection) -> None:
        await echo(shared, "before")
        server.kill()
        try:
            asked = (shared.ask([("ECHO", "a")]) for _ in range(20))
            found = await asyncio.gather(*asked, return_exceptions=True)
            assert all(isinstance(each, RedisConnectionError) for each in found), found
        finally:
            server.start()
        await echo(shared, "after")

    with_connection(server.url, work)


def test_a_new_connection_loses_no_reply_of_the_old_one(server: ValkeyServer) -> None:
    async def work(shared: SharedConnection) -> None:
        for _ in range(20):
            before = [asyncio.create_task(echo(shared, f"{each}")) for each in range(5)]
            await asyncio.sleep(0)
            shared.renew()
            await asyncio.gather(*before, *(echo(shared, f"{each}") for each in range(5)))

    with_connection(server.url, work)
