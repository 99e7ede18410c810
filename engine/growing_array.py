"""GrowingArray: rows beside a memory-mapped array that cannot grow."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from engine.vector_table import Table

Indices = npt.NDArray[np.int64]


class GrowingArray:
    """Rows [M,...] put at any place, zeros where none was put; the memory doubles when it is full."""

    def __init__(self, row_shape: tuple[int, ...] = (), dtype: type[np.generic] = np.float32) -> None:
        self._memory: npt.NDArray[Any] = np.zeros((0, *row_shape), dtype=dtype)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def rows(self) -> npt.NDArray[Any]:
        """The rows [M,...], without a copy; M is one past the last that was put."""
        return self._memory[: self._count]

    def put(self, places: Indices, rows: npt.NDArray[Any]) -> None:
        """Write rows; what stood there is gone."""
        count = max(self._count, int(places.max(initial=-1)) + 1)
        if count > len(self._memory):
            more = np.zeros((max(count, 2 * len(self._memory)), *self._memory.shape[1:]), self._memory.dtype)
            more[: self._count] = self.rows
            self._memory = more
        self._memory[places] = rows
        self._count = count

    def append(self, rows: npt.NDArray[Any]) -> None:
        """Write rows behind the last."""
        self.put(np.arange(self._count, self._count + len(rows)), rows)

    def drop_first(self, count: int) -> None:
        """Forget the first rows; the others move up."""
        rest = self.rows[count:].copy()
        self._memory, self._count = rest, len(rest)

    def beside(self, base: Table, indices: Indices, first: int) -> npt.NDArray[Any]:
        """Return base[indices]; the indices from `first` on are rows of this array, zeros where none was put."""
        own = indices >= first
        if not own.any():
            return base[indices]
        found = np.array(base[np.where(own, 0, indices)])
        found[own] = self._or_zeros(indices[own] - first)
        return found

    def _or_zeros(self, places: Indices) -> npt.NDArray[Any]:
        found = np.zeros((len(places), *self._memory.shape[1:]), self._memory.dtype)
        there = places < self._count
        found[there] = self._memory[places[there]]
        return found
