"""ItemYears: the year of each item that came with the bundle, by which its new ones are told from its old ones."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.errors import DataError
from engine.items import ItemTable
from engine.metadata_values import number_of

FIELD = "year"
NO_YEAR = -np.inf
Years = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


class ItemYears:
    """Read once, when they are first asked for; then only items that changed are looked at again."""

    def __init__(self, items: ItemTable) -> None:
        self._items = items
        self._years: Years | None = None
        self._order: Indices | None = None
        self._version = 0
        self._reading = asyncio.Lock()

    async def newest(self) -> Indices:
        """Return all rows [N] of the bundle by year, newest first and those without one last; ties by popularity."""
        async with self._reading:
            # A million items take seconds, in which others are answered.
            if self._years is None:
                self._years = await asyncio.to_thread(self._of_bundle)
            is_same = self._follow(self._years)
            if self._order is None or not is_same:
                self._order = await asyncio.to_thread(self._sorted, self._years.copy())
            return self._order

    def _of_bundle(self) -> Years:
        encoded = self._items.metadata
        # Most of what has no year is told without being decoded.
        found = (_year(json.loads(each)) if b'"year"' in each else NO_YEAR for each in encoded)
        years = np.full(len(self._items), NO_YEAR)
        years[: len(encoded)] = np.fromiter(found, dtype=np.float64, count=len(encoded))
        return years

    def _sorted(self, years: Years) -> Indices:
        return np.lexsort((-self._items.columns["popularity"], -years))

    def _follow(self, years: Years) -> bool:
        """Take over what has changed; return whether all years are what they were."""
        rows, is_same = self._items.rows, True
        changed = rows.changed_since(self._version)
        for row in rows.metadata if changed is None else changed.tolist():
            if row < len(years) and (metadata := rows.metadata.get(row)) is not None:
                year = _year(metadata)
                is_same, years[row] = is_same and year == years[row], year
        self._version = rows.version
        return is_same


def _year(metadata: Mapping[str, Any]) -> float:
    with suppress(DataError):
        year = number_of(metadata, FIELD)
        return NO_YEAR if year is None else year
    return NO_YEAR
