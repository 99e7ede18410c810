"""Items that came with the bundle, described but not trained: listed, changed and kept like all others."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from live_world import CONTENT, ITEMS, content_of, live, live_recommender
from pictures import picture
from redis import Redis

from app.embedded_store import EmbeddedStore
from app.item import Item, ItemPatch
from app.item_document import ItemDocument
from app.item_store import LOT, Draft
from app.items import Items
from app.metrics import Metrics
from app.settings import Settings
from app.store_connection import StoreConnection
from engine.errors import NotFoundError
from engine.item_content import ItemContent


class Blind:
    """A network that has no files of what came with the bundle."""

    version = "1"

    def has_content(self, content: ItemContent) -> bool:
        return "title" in content.metadata

    def encode(self, contents: Sequence[ItemContent]) -> np.ndarray:
        return np.ones((len(contents), CONTENT.shape[1]), np.float32)


@asynccontextmanager
async def opened(url: str, version: str = "1") -> AsyncIterator[Items]:
    recommender, network = live_recommender(), Blind()
    network.version = version
    described = [live(f"described {seed}", seed, metadata={"title": "T"}, added_at=5.0 + seed) for seed in range(3)]
    described.append(live("with image", 7, metadata={"title": "T", "image": "i.png"}, added_at=1.0))
    recommender.catalogue.put(described)
    bundle = SimpleNamespace(model_version="m", content=network)
    connection = await StoreConnection.connect(url, Settings())
    items = Items(bundle, recommender, connection, url, Metrics())
    await items.tail.start()
    yield items
    await items.tail.stop()
    await connection.close()


def vector_of(items: Items, item_id: str) -> np.ndarray | None:
    return items.writing._items.catalogue.content_of(item_id)


def test_they_are_listed_once_and_in_order(tmp_path: Path) -> None:
    async def listed(url: str) -> list[str]:
        async with opened(url) as items:
            await items.writing.patch("described 1", ItemPatch(is_hidden=True))
            page = items.reading.page(ITEMS + 3, None)
            rest = items.reading.page(ITEMS, page.cursor)
            assert rest.cursor is None
            return [item.item_id for item in (*page.items, *rest.items)]

    with EmbeddedStore(tmp_path) as store:
        expected = [*map(str, range(ITEMS)), "with image", "described 0", "described 1", "described 2"]
        assert asyncio.run(listed(store.url)) == expected


def test_hiding_one_keeps_its_vector_and_a_change_of_its_content_makes_another(tmp_path: Path) -> None:
    async def changed(url: str) -> None:
        async with opened(url) as items:
            receipt = await items.writing.patch("described 1", ItemPatch(is_hidden=True))
            assert (receipt.items[0].ranked_by, receipt.note) == ("content", None)
            np.testing.assert_array_equal(vector_of(items, "described 1"), content_of(1))
            await items.writing.patch("described 2", ItemPatch(title="Other"))
            np.testing.assert_array_equal(vector_of(items, "described 2"), np.ones(CONTENT.shape[1]))
        async with opened(url) as again:
            np.testing.assert_array_equal(vector_of(again, "described 1"), content_of(1))
            assert (await again.reading.get("described 1")).is_hidden

    with EmbeddedStore(tmp_path) as store:
        asyncio.run(changed(store.url))


def test_a_newer_bundle_says_what_an_item_is_that_was_only_hidden(tmp_path: Path) -> None:
    old = {"metadata": {"title": "Of an older bundle"}, "of_bundle": True, "model": "1", "vector": content_of(99)}
    hidden = {"3": {"number": 3}, "described 1": {"title": "T"}}

    async def followed(url: str) -> None:
        async with opened(url) as items:
            drafts = [Draft(ItemDocument(item_id, is_hidden=True, **old)) for item_id in (*hidden, "elsewhere")]
            await items.writing._store.put(drafts)
            await items.tail.reach(await items.writing._store.seq())
            listed = {each.item_id: each for each in items.reading.page(99, None).items}
            for item_id, metadata in hidden.items():
                shown = await items.reading.get(item_id)
                assert (shown.metadata, shown.is_hidden) == (metadata, True)
                assert listed[item_id].metadata == metadata
            assert listed["described 1"].added_at == 6.0
            np.testing.assert_array_equal(vector_of(items, "described 1"), content_of(1))
            # A bundle without the item has nothing better to say.
            assert (await items.reading.get("elsewhere")).metadata == old["metadata"]
            await items.writing.patch("described 1", ItemPatch(tags=["a"]))
            assert (await items.reading.get("described 1")).metadata == {"title": "T", "tags": ["a"]}

    with EmbeddedStore(tmp_path) as store:
        asyncio.run(followed(store.url))


def test_the_receipt_says_that_a_change_parts_an_item_from_the_image_of_the_bundle(tmp_path: Path) -> None:
    async def changed(url: str) -> None:
        async with opened(url) as items:
            receipt = await items.writing.patch("with image", ItemPatch(is_hidden=True))
            assert receipt.note is None
            np.testing.assert_array_equal(vector_of(items, "with image"), content_of(7))
            receipt = await items.writing.patch("with image", ItemPatch(title="Other", metadata=None))
            assert "never seen the image of item 'with image'" in receipt.note
            assert "PUT /items/{item_id}/image" in receipt.note
            picked = ItemPatch.model_construct(_fields_set={"image"}, image=picture())
            receipt = await items.writing.patch("with image", picked)
            assert receipt.note is None
            assert (await items.reading.get("with image")).metadata == {"title": "Other"}

    with EmbeddedStore(tmp_path) as store:
        asyncio.run(changed(store.url))


def test_until_it_is_computed_again_an_item_keeps_the_vector_of_the_bundle(tmp_path: Path) -> None:
    async def swapped(url: str) -> None:
        async with opened(url) as items:
            await items.writing.patch("described 1", ItemPatch(is_hidden=True))
            await items.writing.patch("described 2", ItemPatch(title="Other"))
        # The tail has loaded all, and what it computes again comes later; never what the bundle knows better.
        async with opened(url, "2") as young:
            assert young.writing._items.stale == {"described 2"}
            np.testing.assert_array_equal(vector_of(young, "described 1"), content_of(1))
            np.testing.assert_array_equal(vector_of(young, "described 2"), content_of(2))

    with EmbeddedStore(tmp_path) as store:
        asyncio.run(swapped(store.url))


def test_an_emptied_store_takes_away_none_of_them(tmp_path: Path) -> None:
    async def emptied(url: str) -> None:
        async with opened(url) as items:
            await items.writing.delete("described 0")
            live = items.writing._items
            assert live.others([]) == []
            assert (await items.reading.get("described 1")).item_id == "described 1"
            with pytest.raises(NotFoundError):
                await items.reading.get("described 0")

    with EmbeddedStore(tmp_path) as store:
        asyncio.run(emptied(store.url))


def test_what_a_bundle_knows_stays_deleted_and_all_else_is_forgotten(tmp_path: Path) -> None:
    ids = ["described 0", "3", "came live"]

    async def deleted(url: str) -> None:
        async with opened(url) as items:
            await items.writing.add([Item(item_id="came live", title="T")])
            for item_id in ids:
                await items.writing.delete(item_id)

    async def later(url: str) -> None:
        with Redis.from_url(url, decode_responses=True) as redis:
            redis.zadd("{items}:deleted", dict.fromkeys(ids, 1.0))
            async with opened(url) as items:
                while redis.hexists("{items}:state", "came live"):
                    await asyncio.sleep(0.01)
                assert set(redis.hkeys("{items}:state")) == {"3", "described 0"}
                assert redis.zrangebyscore("{items}:deleted", "-inf", time.time() - 60) == []
                for item_id in ids:
                    with pytest.raises(NotFoundError):
                        await items.reading.get(item_id)

    with EmbeddedStore(tmp_path) as store:
        asyncio.run(deleted(store.url))
        asyncio.run(asyncio.wait_for(later(store.url), 30))


def test_what_the_store_has_forgotten_is_deleted_for_a_worker_that_was_long_away(tmp_path: Path) -> None:
    async def forgotten(url: str) -> None:
        async with opened(url) as items:
            await items.writing.add([Item(item_id="came live", title="T")])
            with Redis.from_url(url) as redis:
                redis.hdel("{items}:state", "came live")
                seq = redis.incr("{items}:seq")
                redis.xadd("{items}:log", {"item_id": "came live"}, f"{seq}-0")
            await items.tail.reach(seq)
            with pytest.raises(NotFoundError):
                await items.reading.get("came live")

    with EmbeddedStore(tmp_path) as store:
        asyncio.run(forgotten(store.url))


def test_requests_come_in_between_while_many_items_are_taken(tmp_path: Path) -> None:
    async def followed(url: str) -> list[int]:
        async with opened(url) as one, opened(url) as other:
            counts = [0]

            async def count() -> None:
                while counts[-1] < 200:
                    counts.append(len(other.writing._items.others([])))
                    await asyncio.sleep(0)

            counting = asyncio.create_task(count())
            await one.writing.add([Item(item_id=f"new {number}", title="T") for number in range(200)])
            await counting
            return counts

    with EmbeddedStore(tmp_path) as store:
        counts = asyncio.run(asyncio.wait_for(followed(store.url), 30))
    assert max(after - before for before, after in pairwise(counts)) <= LOT


def test_the_tail_ends_even_while_changes_come(tmp_path: Path) -> None:
    async def ended(url: str) -> None:
        for _ in range(10):
            async with opened(url) as items:
                await items.writing.patch("described 1", ItemPatch(is_hidden=True))
                begin = time.monotonic()
            assert time.monotonic() - begin < 3

    with EmbeddedStore(tmp_path) as store:
        asyncio.run(asyncio.wait_for(ended(store.url), 60))
