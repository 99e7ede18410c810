"""What the store of items takes at most, against a real server: items, deleted ones, images and sounds."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import suppress

import pytest
from redis import Redis
from stored_items import draft, everything, with_items

from app import item_store
from app.item_document import ItemDocument
from app.item_store import Draft, ItemStore
from engine.errors import FullError


def test_the_number_of_items_is_bounded(url: str) -> None:
    async def work(store: ItemStore) -> None:
        await store.put([draft("a"), draft("b")])
        await store.put([draft("b")])
        with pytest.raises(FullError, match=r"2 added or changed items.*LIVEREC_MAX_LIVE_ITEMS"):
            await store.put([draft("b"), draft("c")])

    with_items(url, work, max_live_items=2)


def test_a_full_store_lets_items_of_a_bundle_be_hidden_and_deleted(url: str) -> None:
    async def work(store: ItemStore) -> None:
        await store.put([draft("a"), draft("b")])
        await store.put([draft("of the bundle", 0, is_hidden=True, of_bundle=True)])
        assert (await store.read(["of the bundle"]))[0].is_hidden
        await store.put([draft("another", 0, is_deleted=True)])
        with pytest.raises(FullError, match="3 added or changed items"):
            await store.put([draft("c", 0)])
        # Neither gives room to others.
        await store.put([draft("of the bundle", of_bundle=True)])
        with pytest.raises(FullError):
            await store.put([draft("of the bundle", of_bundle=True), draft("c", 0)])

    with_items(url, work, max_live_items=2)


def test_deleted_items_take_no_place_of_others_and_are_bounded_too(url: str) -> None:
    async def work(store: ItemStore) -> None:
        await store.put([draft("a"), draft("b")])
        await store.put([draft("a", is_deleted=True)])
        await store.put([draft("c")])
        with pytest.raises(FullError, match="2 added or changed items"):
            await store.put([draft("a")])
        # What the bundle has can be deleted at any time.
        await store.put([draft("of the bundle", is_deleted=True), draft("b", is_deleted=True)])
        with pytest.raises(FullError, match="remember 3 deleted items; set LIVEREC_DELETED_DAYS"):
            await store.put([draft("d")])
        await store.put([draft("b")])

    with_items(url, work, max_live_items=2)


def test_a_deleted_item_is_forgotten_once_it_was_of_no_use_for_long(url: str) -> None:
    async def work(store: ItemStore) -> None:
        ids = [f"item {number}" for number in range(2 * item_store.AT_ONCE + 1)]
        await store.put([draft(each, is_deleted=True) for each in ids])
        await store.put([draft("here"), draft("again", is_deleted=True)])
        await store.put([draft("again")])
        now = time.time()
        await store.forget_deleted(now - 60)
        assert len(await everything(store)) == len(ids) + 2
        await store.renew_deleted(["item 3", "here", "nobody"], now + 60)
        await store.forget_deleted(now + 30)
        assert (await everything(store)).keys() == {"item 3", "here", "again"}
        assert await store.put([draft("item 1", expected=0)])

    with_items(url, work)


def test_media_are_bounded_and_texts_pass(url: str) -> None:
    async def work(store: ItemStore) -> None:
        await store.put([Draft(ItemDocument("a"), image=b"i" * 6, audio=b"s" * 3)])
        with pytest.raises(FullError, match=r"9 bytes of images and sounds and takes 10.*LIVEREC_MAX_MEDIA_BYTES"):
            await store.put([draft("b"), Draft(ItemDocument("c"), image=b"ii")])
        assert (await everything(store)).keys() == {"a"}
        await store.put([draft("b"), Draft(ItemDocument("c"), image=b"i")])
        await store.put([draft("d")])
        await store.put([Draft(ItemDocument("a"), image=b"iiii", audio=b"s" * 5)])
        await store.put([Draft(ItemDocument("a", is_deleted=True), image=b"", audio=b"")])
        await store.put([Draft(ItemDocument("b"), image=b"i" * 9)])

    with_items(url, work, max_media_bytes=10)


def test_media_over_a_bound_that_was_lowered_may_only_shrink(url: str) -> None:
    async def work(store: ItemStore) -> None:
        await store.put([Draft(ItemDocument("a"), image=b"i" * 9)])

    async def later(store: ItemStore) -> None:
        await store.put([draft("a")])
        with pytest.raises(FullError):
            await store.put([Draft(ItemDocument("a"), image=b"i" * 10)])
        await store.put([Draft(ItemDocument("a"), image=b"i" * 8)])

    with_items(url, work)
    with_items(url, later, max_media_bytes=5)


def test_media_are_counted_exactly_whoever_writes_at_the_same_time(url: str) -> None:
    async def write(store: ItemStore, seed: int) -> None:
        choose = random.Random(seed)
        for _ in range(40):
            drafts = [
                Draft(
                    ItemDocument(choose.choice("abc"), is_deleted=choose.random() < 0.2),
                    image=choose.choice([None, b"", b"i" * choose.randrange(1, 30)]),
                    audio=choose.choice([None, b"", b"s" * choose.randrange(1, 30)]),
                )
                for _ in range(choose.randrange(1, 4))
            ]
            with suppress(FullError):
                await store.put(drafts)

    async def work(store: ItemStore) -> None:
        await asyncio.gather(*(write(store, seed) for seed in range(8)))

    with_items(url, work, max_media_bytes=60)
    with Redis.from_url(url) as redis:
        assert int(redis.get("{items}:media_bytes")) == sum(map(len, redis.hvals("{items}:media")))
