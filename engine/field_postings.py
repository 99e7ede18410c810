"""FieldPostings: for each distinct value the rows that have it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.int32]
Rows = npt.NDArray[np.int32]


class FieldPostings:
    """Rows in the order of their values' codes 0..V-1, so that neighbouring codes are one slice."""

    def __init__(self, codes: Codes, rows: Rows, count: int) -> None:
        self._rows = rows[np.argsort(codes, kind="stable")]
        self._starts = np.concatenate(([0], np.cumsum(np.bincount(codes, minlength=count))))

    def between(self, first: int, end: int) -> Rows:
        """Return the rows that have a code from `first` to `end` - 1."""
        return self._rows[self._starts[first] : self._starts[max(first, end)]]

    def of(self, is_wanted: npt.NDArray[np.bool_]) -> Rows:
        """Return the rows that have one of the codes; is_wanted [V]."""
        return self._rows[np.repeat(is_wanted, np.diff(self._starts))]
