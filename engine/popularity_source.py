"""PopularitySource: the most popular items, the same for everybody."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.items import ItemTable
from engine.source import Floats, Indices
from engine.window import IndexBatch


class PopularitySource:
    """A Source that reads nothing of the history; its score is the number of training events."""

    def __init__(self, name: str, items: ItemTable, depth: int = 200) -> None:
        self.name = name
        self.depth = min(depth, len(items.vocabulary))
        self._counts = items.columns["popularity"]
        self._order = items.popularity_order()

    def read(self, rows: IndexBatch) -> Indices:
        """Return [B,0]: nothing."""
        return np.empty((len(rows.lengths), 0), dtype=np.int64)

    def search(self, reading: Indices, excluded: Sequence[Indices], depth: int) -> tuple[Indices, Floats]:
        """Return the most popular items that are not excluded."""
        rows = np.full((len(reading), depth), -1, dtype=np.int64)
        for row, out in zip(rows, excluded, strict=True):
            best = self._order[: depth + len(out)]
            best = best[~np.isin(best, out)][:depth]
            row[: len(best)] = best
        return rows, np.where(rows >= 0, self._counts[rows], -np.inf).astype(np.float32)

    def scores(self, reading: Indices, candidates: Indices) -> Floats:  # noqa: ARG002 (the same for all)
        """Return the number of training events of each candidate [B,K]."""
        return np.asarray(self._counts[candidates], dtype=np.float32)
