"""Selection: the items that a filter, a list of categories or a list of ids leaves."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

import numpy as np
import numpy.typing as npt

from engine.items import ItemTable
from engine.row_set import RowSet

Booleans = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int64]


class Selection:
    """The rows that are true in a mask over an item table, as it stands now: what comes later is not among them."""

    def __init__(self, mask: Booleans) -> None:
        self.mask = mask
        self._count = int(np.count_nonzero(mask))

    @classmethod
    def of_ids(cls, items: ItemTable, item_ids: Iterable[str]) -> Selection:
        """Return the rows of these items; ids that are unknown are left out."""
        mask = np.zeros(items.rows.end, dtype=bool)
        indices = items.vocabulary.indices_of(item_ids)
        rows = np.unique(indices[indices >= 0])
        mask[rows] = True
        selection = cls.__new__(cls)
        # Of millions of rows the mask is not looked through for a few.
        selection.mask, selection._count, selection.rows = mask, len(rows), rows
        return selection

    def __len__(self) -> int:
        return self._count

    @cached_property
    def rows(self) -> Indices:
        """The rows in ascending order."""
        return np.flatnonzero(self.mask)

    def contains(self, indices: Indices) -> Booleans:
        """Return which of the indices, of any shape, are among the rows; -1 never is."""
        inside = (indices >= 0) & (indices < len(self.mask))
        found: Booleans = self.mask[np.where(inside, indices, 0)] & inside
        return found

    @cached_property
    def _outside(self) -> RowSet:
        return RowSet.of(~self.mask)

    def forbidding(self, others: RowSet, end: int) -> RowSet:
        """Return all rows below `end` but these, and the `others`; nobody changes it."""
        if end <= len(self.mask):
            return self._outside.joined(others)
        mask = np.ones(end, dtype=bool)
        mask[: len(self.mask)] = ~self.mask
        return RowSet.of(mask).joined(others)
