"""NeighbourSource: items that stand close to those of the history in an item-to-item table."""

from __future__ import annotations

import numpy as np

from engine.limits import Limits
from engine.neighbours import NeighbourTable
from engine.source import Floats, Indices, best_of
from engine.window import IndexBatch


class NeighbourSource:
    """A Source whose reading is the history's items [B,L] and whose score is the summed weight from them."""

    def __init__(self, name: str, table: NeighbourTable, depth: int = 200) -> None:
        self.name = name
        self.depth = min(depth, len(table.indices) - 1)
        self._table = table

    def read(self, rows: IndexBatch) -> Indices:
        """Return the indices of the history's items [B,L]."""
        return rows.indices

    def search(self, reading: Indices, limits: Limits, depth: int) -> tuple[Indices, Floats]:
        """Return the items within the limits with the largest positive sums."""
        if limits.only is not None:
            choices = [limits.choice(row) for row in range(len(reading))]
            best, sums = best_of(choices, lambda row, choice: self.scores(reading[[row]], choice[None])[0], depth)
            return np.where(sums > 0, best, -1), sums
        found = [self._search(history, limits, row, depth) for row, history in enumerate(reading)]
        return np.stack([indices for indices, _ in found]), np.stack([scores for _, scores in found])

    def scores(self, reading: Indices, candidates: Indices) -> Floats:
        """Return the summed weight from the history to each candidate [B,K]."""
        return self._table.scores(reading, candidates)

    def _search(self, history: Indices, limits: Limits, row: int, depth: int) -> tuple[Indices, Floats]:
        met, sums = self._table.sums(history)
        sums[np.isin(met, limits.excluded[row]) | limits.forbidden.hits(met) | (sums <= 0)] = -np.inf
        best = np.argsort(-sums, kind="stable")[:depth]
        missing = (0, depth - len(best))
        scores = np.pad(sums[best], missing, constant_values=-np.inf).astype(np.float32)
        return np.where(np.isfinite(scores), np.pad(met[best], missing, constant_values=-1), -1), scores
