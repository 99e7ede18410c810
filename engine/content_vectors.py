"""ContentVectors: what a content network makes of each item, of the bundle or added live."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.measured_vectors import MeasuredVectors
from engine.row_set import RowSet

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
ROWS_AT_ONCE = 8_192


class ContentVectors:
    """Raw content vectors: [N,V] of the bundle, memory-mapped and never copied, and of rows N+1, N+2, … added live.

    A row of zeros stands for an item without content.
    """

    def __init__(self, base: Floats) -> None:
        self.base = base
        # Its place 0 is the padding row N, where nothing is ever put.
        self.live = MeasuredVectors(base.shape[1])
        self._known = RowSet()

    @classmethod
    def of_live_items(cls, count: int, width: int) -> ContentVectors:
        """Return vectors of width V where the N items of the bundle have none."""
        # One row that stands for all takes no memory.
        return cls(np.broadcast_to(np.zeros((1, width), dtype=np.float32), (count, width)))

    def put(self, indices: Indices, vectors: Floats) -> None:
        """Take the vectors [B,V] of live rows."""
        self.live.put(indices - len(self.base), vectors)
        for index in indices.tolist():
            self._known.set(index, True)

    def knows(self, indices: Indices) -> npt.NDArray[np.bool_]:
        """Return which items have content."""
        bundled = (indices >= 0) & (indices < len(self.base))
        there: npt.NDArray[np.bool_] = np.any(self.base[np.where(bundled, indices, 0)], axis=-1)
        return (there & bundled) | self._known.hits(indices)

    def of(self, indices: Indices) -> Floats:
        """Return the vectors of items [...,V]; zeros for padding and for a live item without."""
        vectors: Floats = self.live.beside(self.base, indices, len(self.base))
        return vectors

    def mean(self) -> Floats:
        """Return the mean [V] of the bundle's items that have content."""
        total, count = np.zeros(self.base.shape[1]), 0
        for start in range(0, len(self.base), ROWS_AT_ONCE):
            rows = self.base[start : start + ROWS_AT_ONCE]
            total += rows.sum(axis=0, dtype=np.float64)
            count += int(rows.any(axis=1).sum())
        return (total / max(count, 1)).astype(np.float32)


def units(vectors: npt.NDArray[np.floating]) -> Floats:
    """Return vectors [...,V] at length 1; zeros stay zeros."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    scaled: Floats = (vectors / np.where(lengths > 0, lengths, 1.0)).astype(np.float32)
    return scaled
