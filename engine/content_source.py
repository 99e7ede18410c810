"""ContentSource: a user is the mean of what they liked, less what they disliked, in the space of the items' content."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.content_vectors import ContentVectors, units
from engine.index import VectorIndex
from engine.indexed_source import IndexedSource
from engine.source import Floats, Indices
from engine.window import IndexBatch

NEUTRAL = 0.5
NOTHING = 1e-6


class ContentSource(IndexedSource):
    """A Source whose reading is a user vector [B,V] of length 1 and whose score is its cosine with an item's content.

    Content is centred on the mean of the bundle's items, since what all items share tells nothing apart. An event
    weighs its value less 0.5: liked items attract, disliked ones repel; where that cancels, all weigh the same.
    """

    def __init__(self, name: str, content_vectors: Floats, index: VectorIndex | None = None, depth: int = 200) -> None:
        self.content = ContentVectors(content_vectors)
        self._mean = self.content.mean()
        super().__init__(name, index or VectorIndex.build(self.vectors_of(np.arange(len(content_vectors)))), depth)

    def read(self, rows: IndexBatch) -> Floats:
        """Return user vectors [B,V]; a history without content gives zeros."""
        vectors = self.vectors_of(rows.indices)
        leaning = np.einsum("bl,blv->bv", rows.values - NEUTRAL, vectors)
        cancels = np.linalg.norm(leaning, axis=1, keepdims=True) < NOTHING * np.maximum(rows.lengths, 1)[:, None]
        return units(np.where(cancels, vectors.sum(axis=1), leaning))

    def vectors_of(self, indices: Indices) -> Floats:
        """Return the content of items [...,V], centred and of length 1; zeros where an item has none."""
        raw = self.content.of(indices)
        has_content = raw.any(axis=-1, keepdims=True)
        return units(np.where(has_content, raw - self._mean, 0.0))

    def knows(self, indices: Indices) -> npt.NDArray[np.bool_]:
        """Return which items have content."""
        return self.content.knows(indices)

    def add(self, indices: Indices, content: Floats) -> None:
        """Take the raw content vectors [B,V] of live items."""
        self.content.put(indices, content)
        self.index.add(indices, self.vectors_of(indices))
