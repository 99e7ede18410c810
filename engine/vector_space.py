"""VectorSpace: cosines between items."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from engine.content_source import ContentSource
from engine.content_vectors import ContentVectors, units
from engine.items import ItemTable
from engine.measured_vectors import MeasuredVectors
from engine.outputs_of_inputs import OutputsOfInputs
from engine.side_index import LiveIndex
from engine.vector_source import VectorSource
from engine.vector_table import Table

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
# What one core multiplies in about ten milliseconds.
EXACT_NUMBERS = 16_000_000
ROWS_AT_ONCE = 8_192
WIDER, AT_LEAST = 4, 100


class VectorSpace:
    """The vectors of items: `base` [N,E] of the bundle, `live` ones [M,E] from the row `first` on; `of`: those of any.

    All items are looked at, up to `exact_numbers` numbers. Above, the `index` proposes candidates, by the vector that
    `query` makes of the item; live items are candidates all the same, up to as many numbers. Cosines decide.
    """

    def __init__(
        self,
        base: Table,
        live: MeasuredVectors,
        first: int,
        of: Callable[[Indices], Floats],
        index: LiveIndex | None = None,
        query: Callable[[Indices], Floats] | None = None,
    ) -> None:
        self.exact_numbers = EXACT_NUMBERS
        self._base = base
        self._live = live
        self._first = first
        self._of = of
        self._index = index
        self._query = query or of
        self._lengths: Floats | None = None

    @classmethod
    def of_content(cls, content: ContentVectors, source: ContentSource | None) -> VectorSpace:
        """Return the space of raw content vectors; a source that searches them proposes candidates."""
        parts = content.base, content.live, len(content.base), content.of
        return cls(*parts) if source is None else cls(*parts, source.index, source.vectors_of)

    @classmethod
    def of_network(cls, source: VectorSource) -> VectorSpace:
        """Return the space of what a network reads of an item in a history; its index is of output vectors."""

        vectors = source.vectors
        parts = vectors.inputs[:-1], vectors.live_inputs, len(vectors.inputs), vectors.inputs_of
        return cls(*parts, source.index, OutputsOfInputs(vectors))

    def units_of(self, indices: Indices) -> Floats:
        """Return the vectors of items [...,E] at length 1; zeros where there is none."""
        return units(self._of(indices))

    def nearest(self, index: int, n: int, items: ItemTable) -> tuple[Indices, Floats]:
        """Return the n nearest to one item that may be answered, and their cosines; fewer where there are no more."""
        vector = units(self._of(np.array([index])))[0]
        forbidden = items.rows.forbidden
        size = (items.rows.end - 1) * self._base.shape[1]
        if self._index is None or size <= self.exact_numbers:
            rows, cosines = self._every(vector)
        else:
            proposed, _ = self._index.search(self._query(np.array([index])), WIDER * n + AT_LEAST, forbidden)
            rows, cosines = self._proposed(proposed[0][proposed[0] >= 0], vector)
        # An item without a vector has nothing in common with any, as one at right angles.
        cosines = np.where((rows == index) | forbidden.hits(rows) | (cosines == 0), -np.inf, cosines)
        best = _highest(cosines, n)
        return rows[best], cosines[best].astype(np.float32)

    def _proposed(self, rows: Indices, vector: Floats) -> tuple[Indices, Floats]:
        if self._live.rows.size > self.exact_numbers:
            return rows, units(self._of(rows)) @ vector
        rows = rows[rows < self._first]
        live, cosines = self._live_ones(vector)
        return np.concatenate((rows, live)), np.concatenate((units(self._of(rows)) @ vector, cosines))

    def _every(self, vector: Floats) -> tuple[Indices, Floats]:
        # Whole arrays as they stand in memory: gathering rows costs many times the product.
        cosines = _cosines(self._base @ vector, self._base_lengths())
        live, of_live = self._live_ones(vector)
        return np.concatenate((np.arange(len(self._base)), live)), np.concatenate((cosines, of_live))

    def _live_ones(self, vector: Floats) -> tuple[Indices, Floats]:
        rows = np.arange(self._first, self._first + len(self._live))
        return rows, _cosines(self._live.rows @ vector, self._live.lengths)

    def _base_lengths(self) -> Floats:
        if self._lengths is None:
            starts = range(0, len(self._base), ROWS_AT_ONCE)
            every = [np.arange(start, min(start + ROWS_AT_ONCE, len(self._base))) for start in starts]
            self._lengths = np.concatenate([np.linalg.norm(self._of(rows), axis=1) for rows in every])
        return self._lengths


def _cosines(products: Floats, lengths: Floats) -> Floats:
    cosines: Floats = np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0)
    return cosines


def _highest(cosines: Floats, n: int) -> Indices:
    """Return the places of the n highest above -inf, best first; of equal ones the first."""
    there = np.flatnonzero(np.isfinite(cosines))
    if len(there) > n:
        there = there[cosines[there] >= np.partition(cosines[there], -n)[-n]]
    return there[np.argsort(-cosines[there], kind="stable")[:n]]
