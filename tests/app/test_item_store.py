"""The store of items against a real server: atomic, numbered without a gap, guarded by the number."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis import Redis
from stored_items import draft, everything, with_items

from app import item_store
from app.embedded_store import EmbeddedStore
from app.item_document import ItemDocument
from app.item_store import ChangeLog, Draft, ItemKeys, ItemStore, Media
from app.keys import NO_TENANT
from engine.errors import StoreError

T = TypeVar("T")
VECTOR = np.array([0.5, -1.25, 3e-8], dtype=np.float32)
FULL = ItemDocument("a", 0, 5.5, False, True, {"title": "é", "tags": []}, True, False, "sha", VECTOR)


def test_an_item_is_read_back_with_its_number(url: str) -> None:
    async def work(store: ItemStore) -> None:
        assert await store.seq() == 0
        first, second = await store.put([Draft(FULL), draft("b")])
        a, b, nobody = await store.read(["a", "b", "nobody"])
        assert np.array_equal(a.vector, VECTOR)
        assert replace(a, vector=None) == replace(FULL, seq=first, vector=None)
        assert (b.seq, nobody, await store.seq()) == (second, None, first + 1)

    with_items(url, work)


@settings(max_examples=60, deadline=None)
@given(
    item_id=st.text(min_size=1, max_size=40),
    title=st.text(max_size=40),
    number=st.floats(allow_nan=False, allow_infinity=False),
    added_at=st.floats(0, 4e9),
)
def test_any_item_survives_the_store(store_url: str, item_id: str, title: str, number: float, added_at: float) -> None:
    kept = ItemDocument(item_id, added_at=added_at, metadata={"title": title, "number": number})

    async def work(store: ItemStore) -> ItemDocument | None:
        # An example before this one may have left an item of this id.
        await store.put([Draft(replace(kept, is_deleted=True))])
        await store.put([Draft(kept)])
        return (await store.read([item_id]))[0]

    found = with_items(store_url, work)
    assert replace(found, seq=0) == kept


def test_an_emptied_store_gives_no_number_again(url: str) -> None:
    async def work(store: ItemStore) -> None:
        [before] = await store.put([draft("a")])
        with Redis.from_url(url) as redis:
            redis.flushall()
        time.sleep(0.01)
        [after] = await store.put([draft("a")])
        assert after > before

    with_items(url, work)


def test_all_or_none_are_stored(url: str) -> None:
    async def work(store: ItemStore) -> None:
        [seq] = await store.put([draft("a")])
        assert await store.put([draft("b"), draft("a", expected=seq + 1)]) is None
        assert await store.put([draft("b", expected=0), draft("a", expected=0)]) is None
        assert (await everything(store)).keys() == {"a"}
        assert await store.seq() == seq

    with_items(url, work)


def test_of_two_changes_of_one_state_only_the_first_counts(url: str) -> None:
    async def work(store: ItemStore) -> None:
        [seq] = await store.put([draft("a")])
        assert await store.put([draft("a", expected=seq, metadata={"by": "first"})]) == [seq + 1]
        assert await store.put([draft("a", expected=seq, metadata={"by": "second"})]) is None
        assert (await store.read(["a"]))[0].metadata == {"by": "first"}

    with_items(url, work)


def test_an_item_keeps_when_it_came_until_it_is_deleted(url: str) -> None:
    async def work(store: ItemStore) -> list[float]:
        times = []
        for is_deleted, added_at in ((False, 1.5), (False, 2.5), (True, 3.5), (False, 4.5)):
            await store.put([draft("a", is_deleted=is_deleted, added_at=added_at)])
            times.append((await store.read(["a"]))[0].added_at)
        return times

    assert with_items(url, work) == [1.5, 1.5, 1.5, 4.5]


def test_images_are_kept_replaced_and_removed(url: str) -> None:
    async def work(store: ItemStore) -> None:
        await store.put([Draft(FULL, image=b"one", audio=b"=")])
        assert await store.media(["a", "b"]) == [Media(b"one", b"="), Media()]
        await store.put([Draft(FULL, image=None, audio=b"")])
        assert await store.media(["a"]) == [Media(b"one", None)]
        await store.put([Draft(FULL, image=b"")])
        assert await store.media(["a"]) == [Media()]

    with_items(url, work)


def test_a_vector_is_replaced_only_while_the_item_is_the_same_and_nobody_is_told(url: str) -> None:
    async def work(store: ItemStore) -> None:
        [seq] = await store.put([Draft(FULL)])
        renewed = replace(FULL, seq=seq, model="other", vector=VECTOR * 2)
        await store.put_vectors([renewed])
        [found] = await store.read(["a"])
        assert (found.model, found.seq, found.added_at, await store.seq()) == ("other", seq, 5.5, seq)
        assert np.array_equal(found.vector, VECTOR * 2)
        await store.put([Draft(FULL)])
        await store.put_vectors([renewed])
        assert (await store.read(["a"]))[0].model == "sha"

    with_items(url, work)


def test_the_log_tells_each_change_in_order(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(item_store, "WAIT_SECONDS", 0.05)

    async def work(store: ItemStore) -> None:
        log = ChangeLog(url, store.connection)
        try:
            first, second = await store.put([draft("a"), draft("ключ")])
            [third] = await store.put([draft("a", is_deleted=True)])
            assert (second, third) == (first + 1, first + 2)
            assert await log.after(0) == [(first, "a"), (second, "ключ"), (third, "a")]
            assert await log.after(second) == [(third, "a")]
            started = time.monotonic()
            assert await log.after(third) == []
            assert 0.04 < time.monotonic() - started < 1
        finally:
            await log.close()

    with_items(url, work)


def test_the_log_wakes_whoever_waits(url: str) -> None:
    async def work(store: ItemStore) -> float:
        log = ChangeLog(url, store.connection)
        try:
            waiting = asyncio.create_task(log.after(0))
            await asyncio.sleep(0.1)
            started = time.monotonic()
            [seq] = await store.put([draft("a")])
            assert await waiting == [(seq, "a")]
            return time.monotonic() - started
        finally:
            await log.close()

    assert with_items(url, work) < 0.5


def test_all_items_are_scanned(url: str) -> None:
    async def work(store: ItemStore) -> None:
        ids = [f"item {number}" for number in range(1_000)]
        await store.put([draft(item_id) for item_id in ids])
        assert (await everything(store)).keys() == set(ids)

    with_items(url, work)


def test_a_write_waits_for_the_disk(url: str) -> None:
    with Redis.from_url(url) as redis:
        redis.config_set("appendfsync", "everysec")
    assert len(with_items(url, lambda store: store.put([draft("a")]))) == 1


def test_a_store_that_is_gone_is_an_error(tmp_path: Path) -> None:
    with EmbeddedStore(tmp_path) as server:

        async def work(store: ItemStore) -> None:
            server.__exit__(None, None, None)
            for call in (
                store.put([draft("a")]),
                store.read(["a"]),
                store.seq(),
                everything(store),
                store.media(["a"]),
            ):
                with pytest.raises(StoreError, match="check that it runs"):
                    await call

        with_items(server.url, work)


def test_all_keys_lie_in_one_slot() -> None:
    names = ItemKeys.of(NO_TENANT)
    assert len(set(names)) == 6
    assert {name[: name.index("}") + 1] for name in names} == {"{items}"}
