"""The lists without a process: numbers that are no settings are made small enough for a small bundle."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import numpy as np
import pytest
from shop_world import by_popularity, facts, train_shop

from app import lists
from app.list_options import ListOptions, TrendingOptions
from app.metrics import Metrics
from app.serving import Serving
from app.settings import Settings
from app.store import Store
from engine import live_rows, row_order
from engine.bundle import Bundle
from engine.events import Event
from engine.items import ItemTable
from engine.live_item import LiveItem
from engine.newest_order import NewestOrder
from engine.vocabulary import Vocabulary

T = TypeVar("T")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return Bundle.open(train_shop(tmp_path_factory.mktemp("shop") / "b"))


def with_serving(bundle: Bundle, url: str, work: Callable[[Serving], Awaitable[T]]) -> T:
    async def run() -> T:
        store = await Store.connect(url, Settings())
        try:
            return await work(Serving(bundle, bundle.recommender(), store, url, Metrics()))
        finally:
            await store.close()

    return asyncio.run(run())


def shown(body: bytes) -> list[tuple[str, float]]:
    return [(each["item_id"], round(each["score"], 3)) for each in json.loads(body)["items"]]


def test_many_wanted_items_are_looked_for_as_few_are_looked_up(
    shop: Bundle, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    events = [Event("u", f"item {number}", "like", None, now - 60 * number) for number in range(12)]

    async def work(serving: Serving) -> dict[int, list[tuple[str, float]]]:
        await serving.writing.on_written(events)
        found = {}
        for most in (1_000, 0):
            monkeypatch.setattr(lists, "LOOKED_UP", most)
            found[most] = shown(await serving.lists.trending(TrendingOptions(n=8, categories=["odd"])))
        return found

    found = with_serving(shop, url, work)
    assert [item_id for item_id, _ in found[0][:6]] == [f"item {number}" for number in range(1, 12, 2)]
    assert [score > 0 for _, score in found[0]] == [True] * 6 + [False] * 2
    assert found[0] == found[1_000]


def test_a_list_looks_on_until_it_has_enough(shop: Bundle, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_order, "FIRST_LOT", 2)
    monkeypatch.setattr(lists, "LOOKED_UP", 0)
    options = ListOptions(n=9, categories=["odd"])
    found = with_serving(shop, url, lambda serving: serving.lists.popular(options))
    known = facts(shop.items)
    odd = [item_id for item_id in by_popularity(shop.items) if "odd" in known[item_id]["categories"]]
    assert [item_id for item_id, _ in shown(found)] == odd[:9]


@pytest.mark.parametrize("most_changes", [1, 1_000])
def test_years_follow_what_changes(most_changes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_rows, "MOST_CHANGES_KEPT", most_changes)
    metadata = [b'{"year": 1999}', b'{"year": "2001"}', b'{"title": "x"}', b'{"year": "soon"}', b'{"year": null}']
    items = ItemTable(Vocabulary("abcde"), {"popularity": np.array([1, 2, 3, 4, 3], np.float32)}, metadata)
    newest, orders = NewestOrder(items), list[str]()

    def note() -> None:
        every = newest.first(5, lambda rows: rows >= 0)
        for n in range(5):
            assert newest.first(n, lambda rows: rows >= 0).tolist() == every.tolist()[:n]
            assert newest.first(n, lambda rows: rows != 1).tolist() == [row for row in every.tolist() if row != 1][:n]
        orders.append("".join(map(items.vocabulary.id_of, every.tolist())))

    note()
    for row, item in ((0, LiveItem("a", {})), (2, LiveItem("c", {"year": 2020})), (4, LiveItem("e", {"year": 5}))):
        items.change(row, item)
    note()
    items.append(LiveItem("new", {"year": 2030}), is_readable=False)
    items.change(4, LiveItem("e", {"year": 5, "title": "E"}))
    items.forget(1)
    note()
    assert orders == ["badce", "cbeda", "cbeda"]
