"""IndexedSource: what all sources share whose score is the product of two vectors."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import numpy.typing as npt

from engine.limits import Limits
from engine.search_index import SearchIndex
from engine.side_index import LiveIndex
from engine.source import Floats, Indices, best_of, without
from engine.window import IndexBatch


class IndexedSource(ABC):
    """A Source whose reading is the user vector [B,E]; FAISS finds the items nearest to it, live ones too."""

    def __init__(self, name: str, index: SearchIndex, depth: int) -> None:
        self.name = name
        self.depth = min(depth, len(index))
        self.index = LiveIndex(index)

    @abstractmethod
    def read(self, rows: IndexBatch) -> Floats:
        """Return user vectors [B,E]; a history without events gives zeros."""

    @abstractmethod
    def vectors_of(self, indices: Indices) -> Floats:
        """Return what a user vector is multiplied with, of items [...,E]; what stands at -1 means nothing."""

    @abstractmethod
    def knows(self, indices: Indices) -> npt.NDArray[np.bool_]:
        """Return which items have vectors here."""

    def search(self, reading: Floats, limits: Limits, depth: int) -> tuple[Indices, Floats]:
        """Return the best items within the limits."""
        if limits.only is not None:
            choices = [limits.choice(row) for row in range(len(reading))]
            known = [choice[self.knows(choice)] for choice in choices]
            return best_of(known, lambda row, choice: self.vectors_of(choice) @ reading[row], depth)
        k = depth + max(len(indices) for indices in limits.excluded)
        indices, scores = self.index.search(reading, k, limits.forbidden)
        return without(limits.excluded, indices, scores, depth)

    def scores(self, reading: Floats, candidates: Indices) -> Floats:
        """Return the product of user vector and item vector [B,K]."""
        # Not matmul: of such small shapes BLAS now and then reports an invalid value where there is none.
        scores: Floats = np.einsum("bkv,bv->bk", self.vectors_of(candidates), reading)
        return scores
