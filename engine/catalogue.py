"""Catalogue: the items that can be answered, and the one way to change them while the service runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.content_source import ContentSource
from engine.content_vectors import ContentVectors
from engine.errors import BundleError, QueryError
from engine.indexed_source import IndexedSource
from engine.item_tower import ItemTower
from engine.items import ItemTable
from engine.likeness import Likeness, SimilarItems
from engine.live_item import LiveItem
from engine.source import Source
from engine.vector_source import VectorSource
from engine.vocabulary import UNKNOWN

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
LOT = 1_024


@dataclass(frozen=True, slots=True)
class CatalogueItem:
    """What is known of one item; `added_at` in unix seconds, None for an item of the bundle."""

    item_id: str
    metadata: dict[str, Any]
    is_hidden: bool
    added_at: float | None
    is_live: bool
    """Whether it came after training, which has learned nothing of it."""
    has_vector: bool
    """Whether it is found by what it is like; if not, only the popular list and exploration show it."""


class Catalogue:
    """The items of a bundle and those that came live; a change counts from the next answer on.

    It belongs to the one thread that answers. Towers are named by the network source whose vectors they make.
    """

    def __init__(
        self,
        items: ItemTable,
        sources: Sequence[Source],
        towers: Mapping[str, ItemTower] | None = None,
        content_vectors: Floats | None = None,
    ) -> None:
        self._items = items
        self._indexed = [source for source in sources if isinstance(source, IndexedSource)]
        networks = {source.name: source for source in sources if isinstance(source, VectorSource)}
        if strange := (towers or {}).keys() - networks.keys():
            raise BundleError(f"there are towers for {sorted(strange)}, which are no network sources; train again")
        self._towers = [(networks[name], tower) for name, tower in (towers or {}).items()]
        self._by_content = [source for source in sources if isinstance(source, ContentSource)]
        self._content = next((source.content for source in self._by_content), None)
        if self._content is None and content_vectors is not None:
            self._content = ContentVectors(content_vectors)
        self.likeness = Likeness(items, sources, self._content)
        self._left_behind = 0

    @property
    def dead_rows(self) -> int:
        """How many live rows are of no more use: each item that was removed, or given another vector, leaves one."""
        return self._left_behind

    def put(self, items: Sequence[LiveItem]) -> None:
        """Add items, or change those that are there; of several with one id the last counts.

        An item of the bundle keeps its trained vectors until the next training. Raises QueryError, before anything is
        changed, if a content vector does not fit.
        """
        newest = {item.item_id: item for item in items}
        moving = {item_id: item for item_id, item in newest.items() if self._needs_row(item)}
        described = [item for item in moving.values() if item.content_vector is not None]
        content = self._stacked(described)
        made = [(source, *_made(tower, content)) for source, tower in self._towers] if described else []
        # Nothing fails from here on: all of them are there, or none.
        for item_id in newest.keys() - moving.keys():
            self._items.change(self._items.vocabulary.index_of(item_id), newest[item_id])
        rows = {item_id: self._move(item) for item_id, item in moving.items()}
        if described:
            indices = np.array([rows[item.item_id] for item in described])
            for source, inputs, outputs in made:
                source.add(indices, inputs, outputs)
            self._put_content(indices, content)

    def remove(self, item_ids: Iterable[str]) -> None:
        """Take items out; an id that is not there is no error."""
        for item_id in item_ids:
            index = self._items.vocabulary.index_of(item_id)
            if index != UNKNOWN and index not in self._items.rows.dead:
                self._forget(index)

    def get(self, item_id: str) -> CatalogueItem | None:
        """Return one item, hidden or not; None if it is not there."""
        index = self._items.vocabulary.index_of(item_id)
        return None if index == UNKNOWN or index in self._items.rows.dead else self._item(index)

    def content_of(self, item_id: str) -> Floats | None:
        """Return the content vector of one item; None if it has none or is not there."""
        index = self._items.vocabulary.index_of(item_id)
        return None if index == UNKNOWN or index in self._items.rows.dead else self._known_content(index)

    def page(self, after: int, n: int) -> tuple[list[CatalogueItem], int | None]:
        """Return n items from position `after` on (0 at first), and the position of the next page, None at the end.

        What is added stands behind all that is there, and so does an item that is given another content vector.
        """
        rows = self._items.rows
        # So many rows are enough, whichever of them are dead.
        window = np.arange(max(after, 0), min(after + n + len(rows.dead) + 2, rows.end))
        there = window[~rows.dead.hits(window) & (window != rows.base)].tolist()
        return [self._item(index) for index in there[:n]], there[n] if len(there) > n else None

    def similar(self, item_id: str, n: int, space: str) -> SimilarItems:
        """Return the n items most like one item, without hidden ones; raises QueryError if nobody knows it.

        space: "content", "hybrid" or "collaborative" (see Likeness); UnsupportedError if the bundle lacks it.
        """
        index = self._items.vocabulary.index_of(item_id)
        if index == UNKNOWN or index in self._items.rows.dead:
            raise QueryError(f"item {item_id!r} is unknown; add it first, or ask for one of the catalogue")
        return self.likeness.nearest(index, n, space)

    def _needs_row(self, item: LiveItem) -> bool:
        index = self._items.vocabulary.index_of(item.item_id)
        if 0 <= index < len(self._items):
            return False
        return index == UNKNOWN or not _equal(item.content_vector, self._known_content(index))

    def _known_content(self, index: int) -> Floats | None:
        row = np.array([index])
        return None if self._content is None or not self._content.knows(row)[0] else self._content.of(row)[0]

    def _stacked(self, items: Sequence[LiveItem]) -> Floats:
        """Return the content vectors [B,V]; raises QueryError for one that does not fit."""
        vectors = [np.asarray(item.content_vector, dtype=np.float32) for item in items]
        width = self._content.base.shape[1:] if self._content is not None else vectors[0].shape if vectors else ()
        for item, vector in zip(items, vectors, strict=True):
            if vector.shape != width or not np.isfinite(vector).all():
                raise QueryError(
                    f"the content vector of item {item.item_id!r} is {vector.shape} or not finite, wanted {width}; make"
                    " it with the content network of the bundle in service"
                )
        return np.stack(vectors) if vectors else np.empty((0, 0), dtype=np.float32)

    def _move(self, item: LiveItem) -> int:
        if (old := self._items.vocabulary.index_of(item.item_id)) != UNKNOWN:
            self._forget(old)
        is_readable = item.content_vector is not None and bool(self._towers or self._by_content)
        return self._items.append(item, is_readable=is_readable)

    def _forget(self, index: int) -> None:
        self._items.forget(index)
        if index > len(self._items):
            self._left_behind += 1
            for source in self._indexed:
                source.index.forget(index)

    def _put_content(self, indices: Indices, content: Floats) -> None:
        for source in self._by_content:
            source.add(indices, content)
        if not self._by_content:
            if self._content is None:
                self._content = ContentVectors.of_live_items(len(self._items), content.shape[1])
            self._content.put(indices, content)

    def _item(self, index: int) -> CatalogueItem:
        rows, is_live = self._items.rows, index > len(self._items)
        return CatalogueItem(
            item_id=self._items.vocabulary.id_of(index),
            metadata=self._items.metadata_of(index),
            is_hidden=index in rows.hidden,
            added_at=float(rows.added_at.rows[index - rows.base - 1]) if is_live else None,
            is_live=is_live,
            has_vector=any(source.knows(np.array([index]))[0] for source in self._indexed),
        )


def _made(tower: ItemTower, content: Floats) -> tuple[Floats, Floats]:
    lots = [tower.vectors(content[start : start + LOT]) for start in range(0, len(content), LOT)]
    inputs, outputs = zip(*lots, strict=True)
    return np.concatenate(inputs), np.concatenate(outputs)


def _equal(ours: Floats | None, others: Floats | None) -> bool:
    return ours is others if ours is None or others is None else np.array_equal(ours, others)
