"""ItemTable: all that is known of the items, outside the networks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.errors import BundleError
from engine.live_item import LiveItem
from engine.live_rows import LiveRows
from engine.live_vocabulary import LiveVocabulary
from engine.neighbours import NeighbourTable
from engine.popular_order import PopularOrder
from engine.prepared_items import PreparedItems
from engine.vocabulary import Vocabulary

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
SECONDS_PER_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class ItemTable:
    """The items 0..N-1 of a bundle: columns of numbers, neighbours, metadata; and the rows that came while live.

    columns: named [N] arrays, for example "popularity" (number of training events).
    neighbours: named item-to-item tables, for sources and features.
    metadata: one JSON object an item, kept encoded until it is asked for.
    prepared: what a bundle has of it that would else be made when it is first needed.
    The table is no longer than the bundle's, whatever comes; `replace` gives a table to which nothing has come.
    """

    vocabulary: Vocabulary
    columns: Mapping[str, Floats]
    metadata: Sequence[bytes] = field(default=())
    neighbours: Mapping[str, NeighbourTable] = field(default_factory=dict)
    prepared: PreparedItems | None = field(default=None, repr=False, compare=False)
    popular: PopularOrder = field(init=False, repr=False, compare=False)
    rows: LiveRows = field(init=False, repr=False, compare=False)
    _live: LiveVocabulary = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        count = len(self.vocabulary)
        shapes = {f"column {name}": len(column) for name, column in self.columns.items()}
        shapes |= {f"neighbours {name}": len(table.indices) - 1 for name, table in self.neighbours.items()}
        shapes |= {"metadata": len(self.metadata)} if self.metadata else {}
        for name, rows in shapes.items():
            if rows != count:
                raise BundleError(f"{name} is for {rows} items but the vocabulary has {count}; train again")
        self._begin_live()

    def _begin_live(self) -> None:
        live, rows = LiveVocabulary(self.vocabulary), LiveRows(len(self.vocabulary))
        popular = PopularOrder(self.columns, rows, None if self.prepared is None else self.prepared.popular)
        own = {"vocabulary": live, "_live": live, "rows": rows, "popular": popular}
        for name, value in own.items():
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return len(self.vocabulary)

    def append(self, item: LiveItem, *, is_readable: bool) -> int:
        """Give an item the next row, which is returned; `is_readable`: its vectors will be put."""
        self.rows.append(item, is_readable=is_readable)
        return self._live.append(item.item_id)

    def change(self, index: int, item: LiveItem) -> None:
        """Take over what is known of an item but for its vector; a removed item of the bundle is there again."""
        self.rows.change(index, item)

    def forget(self, index: int) -> None:
        """Never answer a row again; a live item is then unknown, one of the bundle still counts in histories."""
        item_id = self.vocabulary.id_of(index)
        self.rows.kill(index)
        if index > len(self):
            self._live.forget(item_id)

    def column(self, name: str, indices: Indices) -> Floats:
        """Return a column's numbers of items; one that came live has 0 in each column."""
        column = self.columns[name]
        if self.rows.end == len(self) + 1:
            return column[indices]
        return np.where(indices < len(self), column[np.minimum(indices, len(self) - 1)], 0).astype(np.float32)

    def is_readable(self, indices: Indices) -> npt.NDArray[np.bool_]:
        """Return which items count inside a history: those that are known and have vectors."""
        if self.rows.end == len(self) + 1:
            return indices >= 0
        return (indices >= 0) & ((indices < len(self)) | self.rows.readable.hits(indices))

    def fresh(self, since: float) -> Indices:
        """Return the live rows that may be answered and were added after `since`, unix seconds."""
        rows = np.flatnonzero(self.rows.added_at.rows > since) + len(self) + 1
        return rows[~self.rows.forbidden.hits(rows)]

    def ages(self, indices: Indices, now: float) -> npt.NDArray[np.float64]:
        """Return how many days ago live items were added, infinity for those of the bundle; `now` in unix seconds."""
        live = indices > len(self)
        ages = np.full(indices.shape, np.inf)
        ages[live] = np.maximum(now - self.rows.added_at.rows[indices[live] - len(self) - 1], 0.0) / SECONDS_PER_DAY
        return ages

    def metadata_of(self, index: int) -> dict[str, Any]:
        """Return the metadata of one item, empty if none was given."""
        if (newer := self.rows.metadata.get(index)) is not None:
            return dict(newer)
        if not self.metadata or index >= len(self):
            return {}
        decoded: dict[str, Any] = json.loads(self.metadata[index].decode())
        return decoded
