"""FieldPostings: for each distinct value the rows that have it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.int32]
Rows = npt.NDArray[np.int32]


class FieldPostings:
    """Rows in the order of their values' codes 0..V-1, so that neighbouring codes are one slice.

    rows int32 [R]; code v has rows[starts[v] : starts[v + 1]], starts [V+1].
    """

    def __init__(self, rows: Rows, starts: npt.NDArray[np.integer[Any]]) -> None:
        self.rows = rows
        self.starts = starts

    @classmethod
    def of(cls, codes: Codes, rows: Rows, count: int) -> FieldPostings:
        """Sort rows by their codes, of which there are `count`."""
        starts = np.concatenate(([0], np.cumsum(np.bincount(codes, minlength=count))))
        return cls(rows[np.argsort(codes, kind="stable")], starts)

    def between(self, first: int, end: int) -> Rows:
        """Return the rows that have a code from `first` to `end` - 1."""
        return self.rows[self.starts[first] : self.starts[max(first, end)]]

    def having(self, is_wanted: npt.NDArray[np.bool_]) -> Rows:
        """Return the rows that have one of the codes; is_wanted [V]."""
        return self.rows[np.repeat(is_wanted, np.diff(self.starts))]
