"""FieldOverlay: what the rows that came or changed while live have under their fields."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.field_table import Column, FieldTable
from engine.filter_expression import FilterExpression
from engine.id_column import ITEM_ID
from engine.items import ItemTable

Mask = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int64]
FEW_ROWS = 1_024
LOT = 1_024
SHARE_OF_SETTLED = 8


class FieldOverlay:
    """Columns of the live rows as they were at one version, made where they are asked for; rows that changed since are
    read anew each time, until they are so many that all are settled again."""

    def __init__(self, items: ItemTable) -> None:
        self._items = items
        self._rows: Indices = np.empty(0, dtype=np.int64)
        self._columns: dict[str, Column] = {}
        self._read: set[str] = set()
        self._settled_at = self._named_at = 0
        self._names: set[str] = set()

    def names(self) -> set[str]:
        """Return the fields that an item that came or changed has, or once had."""
        metadata = self._items.rows.metadata
        changed = self._items.rows.changed_since(self._named_at)
        for row in metadata if changed is None else changed.tolist():
            self._names.update(metadata.get(row, ()))
        self._named_at = self._items.rows.version
        return self._names

    def put(self, mask: Mask, expression: FilterExpression) -> None:
        """Write into a mask of all rows what is true of the live ones; what is dead is never wanted."""
        rows = self._items.rows
        changed = rows.changed_since(self._settled_at)
        if changed is None or len(changed) > max(FEW_ROWS, len(self._rows) // SHARE_OF_SETTLED):
            self._settle()
            changed = np.empty(0, dtype=np.int64)
        mask[self._rows] = self._settled(expression.fields).matches(expression.node)
        dead = rows.dead.rows()
        mask[dead[dead < len(mask)]] = False
        self.refresh(mask, expression, changed)

    def refresh(self, mask: Mask, expression: FilterExpression, changed: Indices) -> None:
        """Write what is true of some rows into a mask."""
        if len(changed):
            table = FieldTable.of(self._lots(changed, expression.fields))
            mask[changed] = table.matches(expression.node) & ~self._items.rows.dead.hits(changed)

    def _settle(self) -> None:
        metadata = self._items.rows.metadata
        self._rows = np.fromiter(metadata, dtype=np.int64, count=len(metadata))
        self._columns, self._read, self._settled_at = {}, set(), self._items.rows.version

    def _settled(self, fields: frozenset[str]) -> FieldTable:
        # Whatever changed since is read anew after this, so that what it says here does not matter.
        if missing := fields - self._read:
            self._columns.update(FieldTable.of(self._lots(self._rows, missing)).columns)
            self._read |= missing
        return FieldTable(self._columns, len(self._rows))

    def _lots(self, rows: Indices, fields: Iterable[str]) -> Iterator[list[dict[str, Any]]]:
        for start in range(0, len(rows), LOT):
            yield [self._document(row, fields) for row in rows[start : start + LOT].tolist()]

    def _document(self, row: int, fields: Iterable[str]) -> dict[str, Any]:
        known = self._items.rows.metadata.get(row, {})
        found = {name: known[name] for name in fields if name in known}
        return found | {ITEM_ID: self._items.vocabulary.id_of(row)} if ITEM_ID in fields else found
