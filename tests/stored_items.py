"""What tests ask of the store of items."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from app.item_document import ItemDocument
from app.item_store import Draft, ItemStore
from app.settings import Settings
from app.store_connection import StoreConnection

T = TypeVar("T")


def with_items(url: str, work: Callable[[ItemStore], Awaitable[T]], **limits: int) -> T:
    async def run() -> T:
        connection = await StoreConnection.connect(url, Settings(**limits))
        try:
            return await work(ItemStore(connection))
        finally:
            await connection.close()

    return asyncio.run(run())


def draft(item_id: str, expected: int | None = None, **more: object) -> Draft:
    return Draft(ItemDocument(item_id, **more), expected)


async def everything(store: ItemStore) -> dict[str, ItemDocument]:
    return {each.item_id: each async for documents in store.scan() for each in documents}
