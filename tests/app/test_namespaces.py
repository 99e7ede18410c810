"""Namespaces: what one tenant writes, no other reads, though user ids, event_ids and connections are the same."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from redis import Redis

from app.item_document import ItemDocument
from app.item_store import Draft, ItemKeys, ItemStore
from app.keys import NO_TENANT, Keys, Namespace
from app.settings import Settings
from app.store import Outcome, Store
from app.store_connection import StoreConnection
from app.user_store import UserStore
from engine.errors import ConfigError
from engine.events import Event

EVENT = Event("alice", "1", "rating", 5.0, 1.0, "e-1")


def with_tenants(url: str, work: Callable[[Store, Store, Store], Awaitable[None]]) -> None:
    async def run() -> None:
        connection = await StoreConnection.connect(url, Settings())
        try:
            await work(*[await Store.of(each) for each in (connection, connection.within("a"), connection.within("b"))])
        finally:
            await connection.close()

    asyncio.run(run())


def test_histories_versions_and_event_ids_are_apart(url: str) -> None:
    async def work(none: Store, a: Store, b: Store) -> None:
        assert [each.outcome for each in await a.write([EVENT, EVENT])] == [Outcome.WRITTEN, Outcome.DUPLICATE]
        assert [(await each.read("alice", "")).version for each in (none, a, b)] == [0, 1, 0]
        other = EVENT._replace(item_id="2")
        assert [each.outcome for each in await b.write([other])] == [Outcome.WRITTEN]
        assert [event.item_id for event in (await b.read("alice", "")).history.events] == ["2"]
        assert await b.keep("alice", 1, "f", b"answer of b")
        assert (await a.read("alice", "f")).cached is None
        receipt = await UserStore(a).forget("alice")
        assert (receipt.events, receipt.log_entries, receipt.event_ids) == (1, 1, 1)
        assert (await b.read("alice", "f")).cached == b"answer of b"
        assert len({each.pseudonyms.of_user("alice") for each in (none, a, b)}) == 3

    with_tenants(url, work)


def test_items_are_apart(url: str) -> None:
    async def work(none: Store, a: Store, b: Store) -> None:
        stores = [ItemStore(each.connection) for each in (none, a, b)]
        await stores[1].put([Draft(ItemDocument("new", 0, 1.0))])
        assert [await each.read(["new"]) != [None] for each in stores] == [False, True, False]
        assert [await each.seq() > 0 for each in stores] == [False, True, False]

    with_tenants(url, work)


def test_each_tenant_has_partitions_of_its_own(url: str) -> None:
    async def work(_none: Store, a: Store, _b: Store) -> None:
        fewer = a.connection.within("a")
        fewer.settings = Settings(partitions=8)
        with pytest.raises(ConfigError, match="LIVEREC_PARTITIONS is 8 but the store was made with 64"):
            await Store.of(fewer)
        assert (await Store.of(fewer.within("c"))).connection.key("x") == "c:x"

    with_tenants(url, work)


def test_every_key_of_a_tenant_begins_with_its_name(url: str) -> None:
    async def work(_none: Store, a: Store, _b: Store) -> None:
        await a.write([EVENT])
        await ItemStore(a.connection).put([Draft(ItemDocument("new", 0, 1.0))])

    with_tenants(url, work)
    with Redis.from_url(url) as redis:
        names = [key.decode() for key in redis.scan_iter()]
    kinds = {name.rpartition("liverec:")[2] for name in names if "liverec:" in name}
    assert kinds == {"partitions", "secret"}
    # Those without a name are the two that the others made by connecting.
    assert sum(not name.startswith(("a:", "b:")) for name in names) == 2
    assert any(name.startswith("a:{items}:") for name in names)
    assert any(name.startswith("a:{p") for name in names)


def test_one_tenant_s_keys_lie_in_one_slot() -> None:
    keys = Keys.of("alice", 64, Namespace("a"))
    tag = keys.log[: keys.log.index("}") + 1]
    assert tag.startswith("a:{p")
    assert keys.event("e").startswith(tag)
    assert {name[: len(tag)] for name in (keys.history, keys.items, keys.opinions, keys.version, keys.cache)} == {tag}
    assert {name[:10] for name in ItemKeys.of(Namespace("a"))} == {"a:{items}:"}
    assert not set(ItemKeys.of(NO_TENANT)) & set(ItemKeys.of(Namespace("a")))
