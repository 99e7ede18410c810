"""NewestOrder: the items of the bundle by their year, by which its new ones are told from its old ones."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.errors import DataError
from engine.item_documents import documents
from engine.items import ItemTable
from engine.metadata_values import number_of
from engine.row_order import Fits, first_rows

FIELD = "year"
NO_YEAR = -np.inf
Indices = npt.NDArray[np.int64]
Order = npt.NDArray[np.int32]


class NewestOrder:
    """Newest first, those without a year last; ties by popularity, then by index.

    order [N]: as the bundle says; items whose metadata changed since are put where they belong now.
    """

    def __init__(self, items: ItemTable) -> None:
        self._items = items
        self._order = order_of(items) if items.prepared is None else items.prepared.newest
        self._changed: dict[int, float] = {}
        self._version = 0

    def first(self, n: int, fits: Fits) -> Indices:
        """Return the first n rows [n] of the bundle that fit; fewer where there are no more."""
        self._follow()
        moved = np.fromiter(self._changed, np.int64, len(self._changed))
        rows = first_rows([self._order], n, lambda rows: fits(rows) & ~np.isin(rows, moved))
        if not len(moved):
            return rows
        moved = moved[fits(moved)]
        years = [
            *(_year(self._items.metadata_of(row)) for row in rows.tolist()),
            *map(self._changed.get, moved.tolist()),
        ]
        rows = np.concatenate((rows, moved))
        return rows[np.lexsort((rows, -self._items.columns["popularity"][rows], -np.array(years, np.float64)))][:n]

    def _follow(self) -> None:
        """Take over what has changed."""
        rows = self._items.rows
        changed = rows.changed_since(self._version)
        for row in rows.metadata if changed is None else changed.tolist():
            if row < len(self._items) and (metadata := rows.metadata.get(row)) is not None:
                self._changed[row] = _year(metadata)
        self._version = rows.version


def order_of(items: ItemTable) -> Order:
    """Sort the rows of a table by what its metadata says."""
    years = np.full(len(items), NO_YEAR)
    start = 0
    for lot in documents(items.metadata):
        years[start : start + len(lot)] = [_year(document) for document in lot]
        start += len(lot)
    return np.lexsort((-items.columns["popularity"], -years)).astype(np.int32)


def _year(metadata: Mapping[str, Any]) -> float:
    with suppress(DataError):
        year = number_of(metadata, FIELD)
        return NO_YEAR if year is None else year
    return NO_YEAR
