"""ItemReading: shows one item, pages of items, and items that are alike."""

from __future__ import annotations

import time
from contextlib import suppress

from app.answer import STORE_UNREACHABLE
from app.item_answer import ItemAnswer, ItemPage, ItemSummary, SimilarAnswer, SimilarItem
from app.item_cursor import BEFORE_ALL, ItemCursor
from app.item_document import ItemDocument
from app.item_store import ItemStore
from app.item_tail import ItemTail
from app.live_items import LiveItems
from engine.catalogue import CatalogueItem
from engine.errors import NotFoundError, StoreError, UnsupportedError
from engine.likeness import COLLABORATIVE, CONTENT, HYBRID, SimilarItems

SPACES = (HYBRID, CONTENT, COLLABORATIVE)
"""In the order in which one stands in for another."""


class ItemReading:
    """What GET answers of items; where it can do without the store, it waits for it as many `seconds` at most."""

    def __init__(self, store: ItemStore, tail: ItemTail, items: LiveItems, model_version: str, seconds: float) -> None:
        self._store = store
        self._tail = tail
        self._items = items
        self._model_version = model_version
        self._seconds = seconds

    async def get(self, item_id: str) -> ItemAnswer:
        """Return one item, hidden or not; raises NotFoundError if nobody knows it."""
        document, degraded = None, None
        try:
            document = await self._newest(item_id)
        except StoreError:
            degraded = STORE_UNREACHABLE
        item = self._known(item_id)
        summary = ItemSummary.of(item, None if document is None else document.seq).model_dump()
        if document is not None:
            summary |= {"metadata": document.metadata, "is_hidden": document.is_hidden}
        return ItemAnswer(**summary, degraded=degraded, model_version=self._model_version)

    async def alone(self, item_id: str) -> ItemPage:
        """Return one item as a page of its own; raises NotFoundError if nobody knows it."""
        item = await self.get(item_id)
        return ItemPage(items=[item], cursor=None, degraded=item.degraded, model_version=self._model_version)

    def page(self, n: int, cursor: str | None) -> ItemPage:
        """Return up to n items and the cursor of the next ones; raises QueryError for a cursor that is none."""
        begin = ItemCursor() if cursor is None else ItemCursor.decode(cursor)
        items, following = self._page(begin, n)
        return ItemPage(
            items=[ItemSummary.of(item, self._items.version_of(item.item_id)) for item in items],
            cursor=None if following is None else following.encode(),
            degraded=STORE_UNREACHABLE if self._tail.is_away else None,
            model_version=self._model_version,
        )

    async def similar(self, item_id: str, n: int, space: str) -> SimilarAnswer:
        """Return items that are like one item; raises NotFoundError if nobody knows it."""
        started = time.perf_counter()
        if self._items.catalogue.get(item_id) is None:
            # Only who is unknown costs a round trip; without the store, what is known here is all there is.
            with suppress(StoreError):
                await self._newest(item_id)
        self._known(item_id)
        found = self._nearest(item_id, n, space)
        degraded = None if found.space == space else f"{space!r} tells nothing of this item; this is {found.space!r}"
        return SimilarAnswer(
            item_id=item_id,
            space=found.space,
            degraded=degraded,
            items=[
                SimilarItem(item_id=other, rank=rank, score=round(score, 5), metadata=self._known(other).metadata)
                for rank, (other, score) in enumerate(found.items, start=1)
            ],
            model_version=self._model_version,
            took_ms=round((time.perf_counter() - started) * 1000, 2),
        )

    def _nearest(self, item_id: str, n: int, space: str) -> SimilarItems:
        """Return what the wanted space tells, or the next that tells anything."""
        found = []
        for each in (space, *(other for other in SPACES if other != space)):
            # A bundle need not have all spaces.
            with suppress(UnsupportedError):
                found.append(self._items.catalogue.similar(item_id, n, each))
                if found[-1].items:
                    return found[-1]
        return found[0] if found else SimilarItems(space, [])

    async def _newest(self, item_id: str) -> ItemDocument | None:
        [document] = await self._store.read([item_id], self._seconds)
        if document is None:
            return None
        # Another worker may have taken it a moment ago.
        await self._tail.reach(document.seq, self._seconds)
        return self._items.up_to_date(document)

    def _known(self, item_id: str) -> CatalogueItem:
        if (item := self._items.catalogue.get(item_id)) is None:
            raise NotFoundError(f"item {item_id!r} is unknown; add it with POST /items")
        return item

    def _page(self, begin: ItemCursor, n: int) -> tuple[list[CatalogueItem], ItemCursor | None]:
        items: list[CatalogueItem] = []
        if begin.place is None:
            items, index = self._items.of_bundle(begin.index, n)
            if index is not None:
                return items, ItemCursor(index)
        further, place = self._items.after(begin.place or BEFORE_ALL, n - len(items))
        return [*items, *further], None if place is None else ItemCursor(place=place)
