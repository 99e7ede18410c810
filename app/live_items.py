"""LiveItems: what this worker has applied of the items in the store, in front of the engine's catalogue."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from sortedcontainers import SortedList

from app.item_cursor import Place
from app.item_document import ItemDocument
from engine.catalogue import Catalogue, CatalogueItem
from engine.errors import QueryError
from engine.items import ItemTable
from engine.live_item import LiveItem

logger = logging.getLogger("liverec")


class LiveItems:
    """Puts documents into the catalogue.

    stale: items whose vector another content network computed. deleted: those of the bundle that the store says are
    deleted, and must go on to say so.
    """

    def __init__(self, catalogue: Catalogue, items: ItemTable, network: str | None) -> None:
        self.catalogue = catalogue
        self.stale: set[str] = set()
        self.deleted: set[str] = set()
        self._items = items
        self._network = network
        self._seqs: dict[str, int] = {}
        self._places = _places(items)
        self._described = _described(items)
        self._order = SortedList(self._places.values())
        self._waiting: list[str] = []

    def apply(self, documents: Sequence[ItemDocument]) -> None:
        """Make the catalogue say what the documents say; of several of one item the last counts."""
        newest = {each.item_id: each for each in documents}
        here = [self.up_to_date(each) for each in newest.values() if not each.is_deleted]
        gone = newest.keys() - {each.item_id for each in here}
        self.catalogue.remove(sorted(gone))
        self._put(here)
        for item_id in gone:
            self._remove(item_id)
        for each in here:
            self._seqs[each.item_id] = each.seq
            self.deleted.discard(each.item_id)
            if not self.is_trained(each.item_id):
                self._place(each.item_id, (each.added_at, each.item_id))

    def up_to_date(self, document: ItemDocument) -> ItemDocument:
        """Return what is stored of an item; where only is_hidden is the client's, this bundle says all else of it."""
        if not document.of_bundle:
            return document
        if self.is_trained(document.item_id):
            return replace(document, metadata=self._trained(document.item_id))
        if (metadata := self._described.get(document.item_id)) is None:
            return document
        added_at, _ = self._places.get(document.item_id, (document.added_at, ""))
        return replace(document, metadata=metadata, added_at=added_at)

    def is_newest(self, document: ItemDocument) -> bool:
        """Return whether nothing newer of this item has been applied, and it is not about to be."""
        return self._seqs.get(document.item_id) == document.seq and not document.is_deleted

    def stale_lot(self, n: int) -> list[str]:
        """Return the next stale items, at most n; each comes once before any comes again."""
        if not self._waiting:
            # Each worker has an order of its own (hashes of texts differ by process), so that they share the work.
            self._waiting = list(self.stale)
        lot = self._waiting[-n:]
        del self._waiting[-n:]
        return [item_id for item_id in lot if item_id in self.stale]

    def others(self, item_ids: Collection[str]) -> list[str]:
        """Return the items that came neither with the bundle nor are among these."""
        return list(self._places.keys() - set(item_ids) - self._described.keys())

    def is_trained(self, item_id: str) -> bool:
        """Return whether training has learned of the item; others may come with the bundle too, described only."""
        return 0 <= self._items.vocabulary.index_of(item_id) < len(self._items)

    def version_of(self, item_id: str) -> int | None:
        """Return the number of the newest change of an item that is applied here; None if it never changed."""
        return self._seqs.get(item_id)

    def of_bundle(self, start: int, n: int) -> tuple[list[CatalogueItem], int | None]:
        """Return n items that were trained from an index on, and the index to go on from; None after the last."""
        found = list[CatalogueItem]()
        for index in range(start, len(self._items)):
            if len(found) == n:
                return found, index
            if item := self.catalogue.get(self._items.vocabulary.id_of(index)):
                found.append(item)
        return found, None

    def after(self, place: Place, n: int) -> tuple[list[CatalogueItem], Place | None]:
        """Return n items that were not trained, the oldest first, and where to go on; None at the end."""
        places = list(islice(self._order.irange(place, inclusive=(False, True)), n + 1))
        items = [item for _, item_id in places[:n] if (item := self.catalogue.get(item_id))]
        return items, [place, *places][n] if len(places) > n else None

    def _trained(self, item_id: str) -> dict[str, Any]:
        encoded = self._items.metadata
        metadata: dict[str, Any] = json.loads(encoded[self._items.vocabulary.index_of(item_id)]) if encoded else {}
        return metadata

    def _place(self, item_id: str, place: Place) -> None:
        before = self._places.get(item_id)
        if before != place:
            if before is not None:
                self._order.discard(before)
            self._order.add(place)
            self._places[item_id] = place

    def _remove(self, item_id: str) -> None:
        self._seqs.pop(item_id, None)
        self.stale.discard(item_id)
        if self.is_trained(item_id) or item_id in self._described:
            self.deleted.add(item_id)
        if (place := self._places.pop(item_id, None)) is not None:
            self._order.discard(place)

    def _put(self, documents: Sequence[ItemDocument]) -> None:
        items = [self._live(each) for each in documents]
        try:
            self.catalogue.put(items)
        except QueryError:
            # One item that cannot be taken must not keep out those that come after it.
            for item in items:
                self._put_alone(item)

    def _put_alone(self, item: LiveItem) -> None:
        try:
            self.catalogue.put([item])
        except QueryError as error:
            logger.warning("an item is left without its vector; its id is logged for debug")
            logger.debug("item %r is left without its vector: %s", item.item_id, error)
            self.catalogue.put([replace(item, content_vector=None)])

    def _live(self, document: ItemDocument) -> LiveItem:
        """Return the item; a vector that this bundle cannot use leaves that which the item has here."""
        is_trained = self.is_trained(document.item_id)
        is_fit = document.model == self._network
        # What the bundle made of it had all its files; the service has none of them.
        is_best_here = document.of_bundle and document.item_id in self._described
        is_settled = is_fit or is_best_here or is_trained or self._network is None
        (self.stale.discard if is_settled else self.stale.add)(document.item_id)
        metadata = document.metadata if is_trained else document.shortened()
        own = self.catalogue.content_of(document.item_id)
        vector = document.vector if is_fit and (own is None or not is_best_here) else own
        return LiveItem(document.item_id, metadata, document.is_hidden, document.added_at, vector)


def _described(items: ItemTable) -> dict[str, Mapping[str, Any]]:
    """Return what the bundle says of the items that it describes, but that were not trained."""
    rows = items.rows
    return {items.vocabulary.id_of(row): rows.metadata[row] for row in range(rows.base + 1, rows.end)}


def _places(items: ItemTable) -> dict[str, Place]:
    """Return the places of the same items."""
    added_at = items.rows.added_at.rows.tolist()
    ids = [items.vocabulary.id_of(items.rows.base + 1 + row) for row in range(len(added_at))]
    return {item_id: (at, item_id) for at, item_id in zip(added_at, ids, strict=True)}
