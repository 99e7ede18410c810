"""Counterfactual: what the same candidates would have scored, had the history been another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from engine.features import Candidates
from engine.indexed_source import IndexedSource
from engine.items import ItemTable
from engine.ranking import Ranker, scores_at
from engine.source import Reading, Source
from engine.window import IndexBatch

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
Number = TypeVar("Number", bound=np.generic)


class Counterfactual:
    """The path from histories to scores of given candidates: encode, score, features, rank; nothing is searched.

    The candidates stay the same, for features tell how a candidate stands among the others.
    """

    def __init__(self, items: ItemTable, sources: Sequence[Source], ranker: Ranker | None) -> None:
        """Take the parts of a recommender; without a ranker the first source's score counts."""
        self.items = items
        self._sources = tuple(sources)
        self._ranker = ranker

    def scores(self, rows: IndexBatch, indices: Indices, chosen: Indices) -> Floats:
        """Return the scores [B,n] that B histories give `chosen` [n] of the candidates `indices` [K].

        Where a history scores several candidates alike, as an empty one does, they stand in the first row's order.
        """
        first, *others = self._sources
        reading = first.read(rows)
        if self._ranker is None:
            return first.scores(reading, np.tile(chosen, (len(rows.lengths), 1)))
        readings = [source.read(rows) for source in others]
        candidates = self._candidates(rows, reading, readings, indices)
        return scores_at(self._ranker, candidates, _places(candidates.indices, chosen))

    def _candidates(
        self, rows: IndexBatch, reading: Reading, readings: Sequence[Reading], indices: Indices
    ) -> Candidates:
        first, *others = self._sources
        indices = _sorted(np.tile(indices, (1, 1)), first.scores(reading[:1], indices[None]))[0]
        indices = np.tile(indices, (len(rows.lengths), 1))
        scores = first.scores(reading, indices)
        indices, scores = _sorted(indices, scores), _sorted(scores, scores)
        further = {source.name: source.scores(each, indices) for source, each in zip(others, readings, strict=True)}
        user_vectors = reading if isinstance(first, IndexedSource) else np.empty((len(reading), 0), dtype=np.float32)
        return Candidates(rows, user_vectors, indices, scores, further)


def _sorted(array: npt.NDArray[Number], scores: Floats) -> npt.NDArray[Number]:
    return np.take_along_axis(array, np.argsort(-scores, axis=1, kind="stable"), axis=1)


def _places(indices: Indices, chosen: Indices) -> Indices:
    """Return where in each row of `indices` [B,K] the `chosen` [n] stand, as [B,n]."""
    order = np.argsort(indices, axis=1)
    ordered = np.take_along_axis(indices, order, axis=1)
    return np.stack([own[np.searchsorted(row, chosen)] for row, own in zip(ordered, order, strict=True)])
