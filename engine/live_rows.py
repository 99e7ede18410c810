"""LiveRows: what has happened to the rows of an item table since its bundle was opened."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.growing_array import GrowingArray
from engine.live_item import LiveItem
from engine.row_set import RowSet

Indices = npt.NDArray[np.int64]
MOST_CHANGES_KEPT = 65_536


class LiveRows:
    """Rows 0..N-1 are the bundle's, N is padding, N+1 and so on came later.

    hidden: not answered until shown again. dead: removed, or left behind by an item that moved to a new row.
    forbidden: both. readable: live rows with vectors, which count inside a history. version: the number of changes.
    """

    def __init__(self, base: int) -> None:
        self.base = base
        self.hidden, self.dead, self.forbidden, self.readable = RowSet(), RowSet(), RowSet(), RowSet()
        self.metadata: dict[int, Mapping[str, Any]] = {}
        self.added_at = GrowingArray((), np.float64)
        self.version = 0
        self._changed = GrowingArray((), np.int64)

    @property
    def end(self) -> int:
        """One past the last row."""
        return self.base + 1 + len(self.added_at)

    def append(self, item: LiveItem, *, is_readable: bool) -> None:
        """Open the next row for an item."""
        row = self.end
        self.added_at.append(np.array([item.added_at]))
        self.readable.set(row, is_readable)
        self.change(row, item)

    def change(self, row: int, item: LiveItem) -> None:
        """Take over what is known of an item but for its vector; a dead row lives again."""
        self.metadata[row] = item.metadata
        if row > self.base:
            self.added_at.rows[row - self.base - 1] = item.added_at
        self.hidden.set(row, item.is_hidden)
        self.dead.set(row, False)
        self._permit(row)

    def kill(self, row: int) -> None:
        """Never answer a row again."""
        self.metadata.pop(row, None)
        self.dead.set(row, True)
        self._permit(row)

    def changed_since(self, version: int) -> Indices | None:
        """Return the rows that changed since a version, each once; None if that is too long ago to know."""
        count = self.version - version
        if count > len(self._changed):
            return None
        return np.unique(self._changed.rows[len(self._changed) - count :])

    def _permit(self, row: int) -> None:
        self.forbidden.set(row, row in self.hidden or row in self.dead)
        self._changed.append(np.array([row]))
        if len(self._changed) > 2 * MOST_CHANGES_KEPT:
            self._changed.drop_first(MOST_CHANGES_KEPT)
        self.version += 1
