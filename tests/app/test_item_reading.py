"""A worker that has not yet read of an item reads on before it says that nobody knows it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import live_world
import pytest

from app.item_document import ItemDocument
from app.item_reading import ItemReading
from app.live_items import LiveItems
from engine.errors import NotFoundError, StoreError


class Behind:
    """A store that has the item "new" as change 7, and a tail that is only now going to read of it."""

    def __init__(self, *, is_reachable: bool = True) -> None:
        recommender = live_world.content_recommender()
        self.catalogue = recommender.catalogue
        self.reading = ItemReading(self, self, LiveItems(self.catalogue, recommender.items, "1"), "1", 1.0)
        self._is_reachable = is_reachable

    async def read(self, item_ids: Sequence[str], _seconds: float) -> list[ItemDocument | None]:
        if not self._is_reachable:
            raise StoreError("the store is away; try again")
        return [ItemDocument(item_id, seq=7) if item_id == "new" else None for item_id in item_ids]

    async def reach(self, seq: int, _seconds: float) -> None:
        assert seq == 7
        self.catalogue.put([live_world.live("new", 50)])


def test_similar_items_of_what_another_worker_has_just_taken() -> None:
    answer = asyncio.run(Behind().reading.similar("new", 3, "content"))
    assert (answer.item_id, len(answer.items)) == ("new", 3)


def test_who_is_still_unknown_is_named_and_who_is_known_needs_no_store() -> None:
    away = Behind(is_reachable=False).reading
    for reading, item_id in ((Behind().reading, "nobody"), (away, "new")):
        with pytest.raises(NotFoundError, match=f"'{item_id}'"):
            asyncio.run(reading.similar(item_id, 3, "content"))
    assert len(asyncio.run(away.similar("3", 3, "content")).items) == 3
