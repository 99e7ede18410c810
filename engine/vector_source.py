"""VectorSource: a network turns the history into a user vector, and FAISS finds the items nearest to it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from engine.encoder import Encoder
from engine.index import VectorIndex
from engine.item_vectors import ItemVectors
from engine.source import Floats, Indices, without
from engine.window import IndexBatch


class VectorSource:
    """A Source whose reading is the user vector [B,E] and whose score is its product with an item's output vector."""

    def __init__(self, name: str, vectors: ItemVectors, encoder: Encoder, index: VectorIndex, depth: int = 200) -> None:
        self.name = name
        self.depth = min(depth, len(index))
        self.vectors = vectors
        self._encoder = encoder
        self._index = index

    def read(self, rows: IndexBatch) -> Floats:
        """Return user vectors [B,E]; a history without events gives zeros."""
        user_vectors = self._encoder.encode(self.vectors.batch(rows))
        return np.where(rows.lengths[:, None] > 0, user_vectors, 0.0).astype(np.float32)

    def search(self, reading: Floats, excluded: Sequence[Indices], depth: int) -> tuple[Indices, Floats]:
        """Return the best items that are not excluded."""
        indices, scores = self._index.search(reading, depth + max(len(indices) for indices in excluded))
        return without(excluded, indices, scores, depth)

    def scores(self, reading: Floats, candidates: Indices) -> Floats:
        """Return the product of user vector and output vector [B,K]."""
        gathered: npt.NDArray[np.float32] = self.vectors.outputs[candidates]
        scores: Floats = np.matmul(gathered, reading[:, :, None])[:, :, 0]
        return scores
