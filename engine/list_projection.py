"""ListProjection: vectors become short codes whose products with what becomes of queries are nearly the same."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
SPREAD = 2.5
"""How many standard deviations above its centroid's score a list is expected to reach."""
SMALLEST = 1e-6


@dataclass(frozen=True, slots=True)
class ListProjection:
    """Two maps [E,P] of queries and of items; they share the last of P + 1 numbers with the lists.

    Those P dimensions are kept along which the scores of items differ most for such queries (the principal components
    of the items once the queries are white), which need not be those along which the items themselves differ most.
    The last number is 0 in an item; in a centroid it is how wide its list is, and in a query how far that reaches, so
    that wide lists are looked at before narrow ones with the same centroid.
    """

    of_queries: Floats
    of_items: Floats | None = None

    @classmethod
    def learned(cls, items: Floats, queries: Floats, width: int) -> ListProjection:
        """Learn from items [S,E] and queries [Q,E] how to make codes of `width` numbers."""
        moments = queries.T.astype(np.float64) @ queries / len(queries)
        # Few queries tell little of many dimensions: the fewer, the more they count as alike in all directions.
        moments += (np.trace(moments) / len(queries) + SMALLEST) * np.eye(len(moments))
        values, axes = np.linalg.eigh(moments)
        root, inverse = (axes * values**power @ axes.T for power in (0.5, -0.5))
        spread = np.atleast_2d(np.cov(items.T.astype(np.float64)))
        _, components = np.linalg.eigh(root @ spread @ root)
        kept = components[:, ::-1][:, : width - 1]
        # Where an item has fewer numbers than a code, the rest are zeros.
        room = ((0, 0), (0, width - 1 - kept.shape[1]))
        maps = (np.pad(each @ kept, room).astype(np.float32) for each in (inverse, root))
        return cls(*maps)

    @property
    def width(self) -> int:
        """P + 1."""
        return int(self.of_queries.shape[1]) + 1

    def queries(self, queries: Floats) -> Floats:
        """Return what is searched for [B,P+1]."""
        projected = np.empty((len(queries), self.width), dtype=np.float32)
        np.matmul(queries, self.of_queries, out=projected[:, :-1])
        projected[:, -1] = np.sqrt(np.einsum("bp,bp->b", projected[:, :-1], projected[:, :-1]))
        return projected

    def items(self, vectors: Floats) -> Floats:
        """Return what is encoded [B,P+1]."""
        if self.of_items is None:
            raise ValueError("an opened projection is for queries alone")
        return np.pad(vectors @ self.of_items, ((0, 0), (0, 1)))

    def centroids(self, centroids: Floats, squares: Floats) -> Floats:
        """Return centroids [L,P+1], given the mean squared distance [L] of the items of each list."""
        widths = SPREAD * np.sqrt(squares / max(self.width - 1, 1))
        return np.concatenate((centroids[:, :-1], widths[:, None]), axis=1).astype(np.float32)
