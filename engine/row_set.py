"""RowSet: a set of rows as bits, the form in which FAISS reads one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]


class RowSet:
    """Rows 0, 1, … that are in or out; one bit each, and the memory doubles when it is full."""

    def __init__(self) -> None:
        self._bits = np.zeros(8, dtype=np.uint8)
        self._count = 0

    @classmethod
    def of(cls, mask: npt.NDArray[np.bool_]) -> RowSet:
        """Return the rows that are true in a mask [N]."""
        rows = cls()
        packed = np.packbits(mask, bitorder="little")
        rows._bits = packed if len(packed) else rows._bits
        rows._count = int(np.count_nonzero(mask))
        return rows

    def joined(self, other: RowSet) -> RowSet:
        """Return the rows that are in either."""
        if not other:
            return self
        longer, shorter = sorted((self._bits, other._bits), key=len, reverse=True)
        both = RowSet()
        both._bits = longer.copy()
        both._bits[: len(shorter)] |= shorter
        both._count = int(np.bitwise_count(both._bits).sum())
        return both

    def __len__(self) -> int:
        return self._count

    def __contains__(self, row: int) -> bool:
        return 0 <= row < 8 * len(self._bits) and bool(self._bits[row >> 3] >> (row & 7) & 1)

    @property
    def bits(self) -> npt.NDArray[np.uint8]:
        """Bit `row & 7` of byte `row >> 3`; a row beyond the end is out."""
        return self._bits

    def rows(self) -> Indices:
        """Return all rows that are in, in ascending order."""
        filled = np.flatnonzero(self._bits)
        byte, bit = np.nonzero(np.unpackbits(self._bits[filled, None], axis=1, bitorder="little"))
        return filled[byte] * 8 + bit

    def set(self, row: int, is_in: bool) -> None:
        """Put a row in or take it out."""
        if (row in self) == is_in:
            return
        while row >= 8 * len(self._bits):
            self._bits = np.concatenate((self._bits, np.zeros_like(self._bits)))
        self._bits[row >> 3] ^= np.uint8(1 << (row & 7))
        self._count += 1 if is_in else -1

    def hits(self, rows: Indices) -> npt.NDArray[np.bool_]:
        """Return which of the rows, of any shape, are in; -1 never is."""
        if not self._count:
            return np.zeros(rows.shape, dtype=bool)
        inside = (rows >= 0) & (rows < 8 * len(self._bits))
        bits = self._bits[np.where(inside, rows >> 3, 0)] >> (rows & 7)
        found: npt.NDArray[np.bool_] = (bits & 1).astype(bool) & inside
        return found
