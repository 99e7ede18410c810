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


class ItemYears:
    """Read once, when they are first asked for; then only items that changed are looked at again."""

    def __init__(self, items: ItemTable) -> None:
        self._items = items
        self._years: Years | None = None
        self._version = 0
        self._reading = asyncio.Lock()

    async def read(self) -> Years:
        """Return the years [N], -inf for an item of which none is known."""
        async with self._reading:
            if self._years is None:
                # A million items take seconds, in which others are answered.
                self._years = await asyncio.to_thread(self._of_bundle)
        self._follow(self._years)
        return self._years

    def _of_bundle(self) -> Years:
        encoded = self._items.metadata
        # Most of what has no year is told without being decoded.
        found = (_year(json.loads(each)) if b'"year"' in each else NO_YEAR for each in encoded)
        years = np.full(len(self._items), NO_YEAR)
        years[: len(encoded)] = np.fromiter(found, dtype=np.float64, count=len(encoded))
        return years

    def _follow(self, years: Years) -> None:
        rows = self._items.rows
        if self._version == rows.version:
            return
        changed = rows.changed_since(self._version)
        for row in rows.metadata if changed is None else changed.tolist():
            if row < len(years) and (metadata := rows.metadata.get(row)) is not None:
                years[row] = _year(metadata)
        self._version = rows.version


def _year(metadata: Mapping[str, Any]) -> float:
    with suppress(DataError):
        year = number_of(metadata, FIELD)
        return NO_YEAR if year is None else year
    return NO_YEAR
