"""VectorSpace: cosines between items."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from engine.content_source import ContentSource
from engine.content_vectors import ContentVectors, units
from engine.items import ItemTable
from engine.side_index import LiveIndex
from engine.vector_source import VectorSource

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
# What one core multiplies in about ten milliseconds.
EXACT_NUMBERS = 16_000_000
ROWS_AT_ONCE = 8_192
WIDER, AT_LEAST = 4, 100


class VectorSpace:
    """The vectors of items: `base` [N,E] of the bundle, and those [...,E] that `of` gives of any item.

    All items are looked at, up to `exact_numbers` numbers. Above, the `index` proposes candidates for the vector that
    `query` makes of the item, and their cosines decide.
    """

    def __init__(
        self,
        base: Floats,
        of: Callable[[Indices], Floats],
        index: LiveIndex | None = None,
        query: Callable[[Indices], Floats] | None = None,
    ) -> None:
        self.exact_numbers = EXACT_NUMBERS
        self._base = base
        self._of = of
        self._index = index
        self._query = query or of
        self._lengths: Floats | None = None

    @classmethod
    def of_content(cls, content: ContentVectors, source: ContentSource | None) -> VectorSpace:
        """Return the space of raw content vectors; a source that searches them proposes candidates."""
        if source is None:
            return cls(content.base, content.of)
        return cls(content.base, content.of, source.index, source.vectors_of)

    @classmethod
    def of_network(cls, source: VectorSource) -> VectorSpace:
        """Return the space of a network's output vectors without their bias."""

        def unbiased(indices: Indices) -> Floats:
            vectors = np.array(source.vectors.outputs_of(indices))
            vectors[..., -1] = 0
            return vectors

        return cls(source.vectors.outputs, unbiased, source.index)

    def nearest(self, index: int, n: int, items: ItemTable) -> tuple[Indices, Floats]:
        """Return the n nearest to one item that may be answered, and their cosines; fewer where there are no more."""
        vector = units(self._of(np.array([index])))[0]
        forbidden = items.rows.forbidden
        size = (items.rows.end - 1) * self._base.shape[1]
        if self._index is None or size <= self.exact_numbers:
            rows, cosines = self._every(vector, np.arange(len(items) + 1, items.rows.end))
        else:
            rows, _ = self._index.search(self._query(np.array([index])), WIDER * n + AT_LEAST, forbidden)
            rows = rows[0][rows[0] >= 0]
            cosines = units(self._of(rows)) @ vector
        # An item without a vector has nothing in common with any, as one at right angles.
        cosines = np.where((rows == index) | forbidden.hits(rows) | (cosines == 0), -np.inf, cosines)
        best = np.argsort(-cosines, kind="stable")[:n]
        best = best[np.isfinite(cosines[best])]
        return rows[best], cosines[best].astype(np.float32)

    def _every(self, vector: Floats, live: Indices) -> tuple[Indices, Floats]:
        lengths = self._base_lengths()
        bundled = np.asarray(self._base @ vector) / np.where(lengths > 0, lengths, 1.0)
        rows = np.concatenate((np.arange(len(bundled)), live))
        return rows, np.concatenate((bundled, units(self._of(live)) @ vector))

    def _base_lengths(self) -> Floats:
        if self._lengths is None:
            starts = range(0, len(self._base), ROWS_AT_ONCE)
            every = [np.arange(start, min(start + ROWS_AT_ONCE, len(self._base))) for start in starts]
            self._lengths = np.concatenate([np.linalg.norm(self._of(rows), axis=1) for rows in every])
        return self._lengths
