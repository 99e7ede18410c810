"""Limits: which items a batch of histories may be given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from engine.row_set import RowSet

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Limits:
    """excluded: for each history the items it must not get; forbidden: what none of them gets; only: what all of them
    get alone, where that is little enough to be looked at one by one.
    """

    excluded: Sequence[Indices]
    forbidden: RowSet = field(default_factory=RowSet)
    only: Indices | None = None

    def choice(self, row: int) -> Indices:
        """Return what one history may get where `only` is given."""
        only = np.empty(0, dtype=np.int64) if self.only is None else self.only
        return only[~(np.isin(only, self.excluded[row]) | self.forbidden.hits(only))]
