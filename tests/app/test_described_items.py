"""Items that came with the bundle, described but not trained: listed, changed and kept like all others."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from live_world import CONTENT, ITEMS, content_of, live, live_recommender

from app.embedded_store import EmbeddedStore
from app.item import ItemPatch
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
            page = items.reading.page(ITEMS + 2, None)
            rest = items.reading.page(ITEMS, page.cursor)
            assert rest.cursor is None
            return [item.item_id for item in (*page.items, *rest.items)]

    with EmbeddedStore(tmp_path) as store:
        expected = [*map(str, range(ITEMS)), "described 0", "described 1", "described 2"]
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


def test_until_it_is_computed_again_an_item_keeps_the_vector_of_the_bundle(tmp_path: Path) -> None:
    async def swapped(url: str) -> None:
        async with opened(url) as items:
            await items.writing.patch("described 1", ItemPatch(is_hidden=True))
        # The tail has loaded all, and what it computes again comes later.
        async with opened(url, "2") as young:
            np.testing.assert_array_equal(vector_of(young, "described 1"), content_of(1))

    with EmbeddedStore(tmp_path) as store:
        asyncio.run(swapped(store.url))


def test_an_emptied_store_takes_away_none_of_them(tmp_path: Path) -> None:
    async def emptied(url: str) -> None:
        async with opened(url) as items:
            await items.writing.delete("described 0")
            items.writing._items.keep_only([])
            assert (await items.reading.get("described 1")).item_id == "described 1"
            with pytest.raises(NotFoundError):
                await items.reading.get("described 0")

    with EmbeddedStore(tmp_path) as store:
        asyncio.run(emptied(store.url))


def test_the_tail_ends_even_while_changes_come(tmp_path: Path) -> None:
    async def ended(url: str) -> None:
        for _ in range(10):
            async with opened(url) as items:
                await items.writing.patch("described 1", ItemPatch(is_hidden=True))
                begin = time.monotonic()
            assert time.monotonic() - begin < 3

    with EmbeddedStore(tmp_path) as store:
        asyncio.run(asyncio.wait_for(ended(store.url), 60))
