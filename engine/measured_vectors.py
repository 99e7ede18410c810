"""MeasuredVectors: vectors beside a memory-mapped array, and how long each is."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.growing_array import GrowingArray

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]


class MeasuredVectors(GrowingArray):
    """Vectors [M,D] put at any place, and their lengths [M]."""

    def __init__(self, width: int) -> None:
        super().__init__((width,))
        self._lengths = GrowingArray()

    @property
    def lengths(self) -> Floats:
        """The lengths [M], without a copy; 0 where nothing was put."""
        return self._lengths.rows

    def put(self, places: Indices, rows: Floats) -> None:
        """Write vectors and measure them."""
        super().put(places, rows)
        self._lengths.put(places, np.linalg.norm(rows, axis=1))

    def drop_first(self, count: int) -> None:
        """Forget the first vectors; the others move up."""
        super().drop_first(count)
        self._lengths.drop_first(count)
