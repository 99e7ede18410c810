"""A store that is opened for one piece of work."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from app.settings import Settings
from app.store import Store

T = TypeVar("T")


def with_store(url: str, work: Callable[[Store], Awaitable[T]], settings: Settings) -> T:
    """Return what the work returns."""

    async def run() -> T:
        store = await Store.connect(url, settings)
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(run())
