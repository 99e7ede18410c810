"""VectorSource: a network turns the history into a user vector, and FAISS finds the items nearest to it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.encoder import Encoder
from engine.indexed_source import IndexedSource
from engine.item_vectors import ItemVectors
from engine.search_index import SearchIndex
from engine.source import Floats, Indices
from engine.window import IndexBatch


class VectorSource(IndexedSource):
    """A Source whose reading is the user vector [B,E] and whose score is its product with an item's output vector."""

    def __init__(self, name: str, vectors: ItemVectors, encoder: Encoder, index: SearchIndex, depth: int = 200) -> None:
        super().__init__(name, index, depth)
        self.vectors = vectors
        self._encoder = encoder

    def read(self, rows: IndexBatch) -> Floats:
        """Return user vectors [B,E]; a history without events gives zeros."""
        batch = self.vectors.batch(rows)
        user_vectors = self._encoder.encode(batch)
        return np.where(batch.lengths[:, None] > 0, user_vectors, 0.0).astype(np.float32)

    def vectors_of(self, indices: Indices) -> Floats:
        """Return the output vectors of items [...,E]."""
        return self.vectors.outputs_of(indices)

    def knows(self, indices: Indices) -> npt.NDArray[np.bool_]:
        """Return which items have vectors here."""
        return self.vectors.knows(indices)

    def add(self, indices: Indices, inputs: Floats, outputs: Floats) -> None:
        """Take input vectors [B,D] and output vectors [B,E] of live items."""
        self.vectors.put(indices, inputs, outputs)
        self.index.add(indices, outputs)
