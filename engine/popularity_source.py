"""PopularitySource: the most popular items, the same for everybody."""

from __future__ import annotations

import numpy as np

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
        order = self._items.popularity_order()
        order = order if limits.only is None else order[np.isin(order, limits.only)]
        if limits.forbidden is not self._items.rows.forbidden:
            order = order[~limits.forbidden.hits(order)]
        rows = np.full((len(reading), depth), -1, dtype=np.int64)
        for row, out in zip(rows, limits.excluded, strict=True):
            best = order[: depth + len(out)]
            best = best[~np.isin(best, out)][:depth]
            row[: len(best)] = best
        return rows, np.where(rows >= 0, self._items.column("popularity", rows), -np.inf).astype(np.float32)

    def scores(self, reading: Indices, candidates: Indices) -> Floats:  # noqa: ARG002 (the same for all)
        """Return the number of training events of each candidate [B,K]."""
        return np.asarray(self._items.column("popularity", candidates), dtype=np.float32)
