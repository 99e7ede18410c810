"""PopularitySource: the most popular items, the same for everybody."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.items import ItemTable
from engine.limits import Limits
from engine.source import Floats, Indices
from engine.window import IndexBatch


class PopularitySource:
    """A Source that reads nothing of the history; its score is the number of training events."""

    def __init__(self, name: str, items: ItemTable, depth: int = 200) -> None:
        self.name = name
        self.depth = min(depth, len(items.vocabulary))
        self._items = items

    def read(self, rows: IndexBatch) -> Indices:
        """Return [B,0]: nothing."""
        return np.empty((len(rows.lengths), 0), dtype=np.int64)

    def search(self, reading: Indices, limits: Limits, depth: int) -> tuple[Indices, Floats]:
        """Return the most popular items within the limits."""
        rows = np.full((len(reading), depth), -1, dtype=np.int64)
        for row, out in zip(rows, limits.excluded, strict=True):
            best = self._best(limits, out, depth)
            row[: len(best)] = best
        return rows, np.where(rows >= 0, self._items.column("popularity", rows), -np.inf).astype(np.float32)

    def scores(self, reading: Indices, candidates: Indices) -> Floats:  # noqa: ARG002 (the same for all)
        """Return the number of training events of each candidate [B,K]."""
        return np.asarray(self._items.column("popularity", candidates), dtype=np.float32)

    def _best(self, limits: Limits, out: Indices, depth: int) -> Indices:
        def fits(rows: Indices) -> npt.NDArray[np.bool_]:
            return ~(np.isin(rows, out) | limits.forbidden.hits(rows))

        if limits.only is None:
            return self._items.popular.first(depth, fits)
        order = self._items.popular.sorted(limits.only)
        return order[fits(order)][:depth]
