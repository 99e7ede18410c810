"""Likeness: which items are like one item, measured in three ways."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.content_source import ContentSource
from engine.content_vectors import ContentVectors
from engine.errors import QueryError, UnsupportedError
from engine.items import ItemTable
from engine.neighbours import NeighbourTable
from engine.source import Source
from engine.vector_source import VectorSource
from engine.vector_space import VectorSpace

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
CONTENT, HYBRID, COLLABORATIVE = SPACES = ("content", "hybrid", "collaborative")
TABLES = ("item_knn", "ease", "cooccurrence")


@dataclass(frozen=True, slots=True)
class SimilarItems:
    """Items [(item_id, score)] by how much they are like one item, best first; `space`: how that was measured."""

    space: str
    items: list[tuple[str, float]]


class Likeness:
    """content: cosine of content vectors. hybrid: cosine of what the first network reads of an item in a history.
    collaborative: the weight in a neighbour table; where an item has no interactions, hybrid answers instead.
    """

    def __init__(self, items: ItemTable, sources: Sequence[Source], content: ContentVectors | None) -> None:
        self._items = items
        self._table = next((items.neighbours[name] for name in TABLES if name in items.neighbours), None)
        self._spaces: dict[str, VectorSpace] = {}
        if content is not None:
            searched = next((source for source in sources if isinstance(source, ContentSource)), None)
            self._spaces[CONTENT] = VectorSpace.of_content(content, searched)
        for source in sources:
            if isinstance(source, VectorSource):
                self._spaces.setdefault(HYBRID, VectorSpace.of_network(source))

    def nearest(self, index: int, n: int, space: str) -> SimilarItems:
        """Return the n items most like one; raises QueryError for an unknown space, UnsupportedError without it."""
        if space not in SPACES:
            raise QueryError(f"space is {space!r}; it must be one of {', '.join(SPACES)}")
        if space == COLLABORATIVE and index < len(self._items) and self._table is not None:
            return SimilarItems(space, self._named(*self._neighbours(self._table, index, n)))
        if space == COLLABORATIVE and index > len(self._items):
            space = HYBRID
        if space not in self._spaces:
            raise UnsupportedError(f"the bundle in service has no {space} space; train one with configs/hybrid.toml")
        return SimilarItems(space, self._named(*self._spaces[space].nearest(index, n, self._items)))

    def units_of(self, indices: Indices) -> Floats:
        """Return vectors [...,E] of length 1 whose products tell how alike items are; UnsupportedError without any."""
        space = self._spaces.get(HYBRID) or self._spaces.get(CONTENT)
        if space is None:
            raise UnsupportedError("the bundle in service has no vectors of items; train one with a network or content")
        return space.units_of(indices)

    @property
    def has_vectors(self) -> bool:
        """Whether any items can be compared by vectors."""
        return bool(self._spaces)

    def _neighbours(self, table: NeighbourTable, index: int, n: int) -> tuple[Indices, Floats]:
        indices, weights = table.indices[index].astype(np.int64), np.asarray(table.weights[index])
        wanted = (weights > 0) & (indices != index) & ~self._items.rows.forbidden.hits(indices)
        best = np.argsort(-np.where(wanted, weights, -np.inf), kind="stable")[: min(n, int(wanted.sum()))]
        return indices[best], weights[best]

    def _named(self, indices: Indices, scores: Floats) -> list[tuple[str, float]]:
        ids = [self._items.vocabulary.id_of(index) for index in indices.tolist()]
        return list(zip(ids, scores.tolist(), strict=True))
