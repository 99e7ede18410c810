"""Counterfactual: what the same candidates would have scored, had a history been another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from engine.features import Candidates
from engine.indexed_source import IndexedSource
from engine.ranking import Ranker, scores_at
from engine.source import Reading, Source
from engine.vector_source import VectorSource
from engine.window import IndexBatch

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
Number = TypeVar("Number", bound=np.generic)
WHOLE = np.zeros(1, dtype=np.int64)


class Counterfactual:
    """The path from histories to the scores of given candidates: read, score, features, rank; nothing is searched.

    The candidates stay the same, since features tell how a candidate stands among the others.
    """

    def __init__(self, sources: Sequence[Source], ranker: Ranker | None) -> None:
        """Take the parts of a recommender; without a ranker the first source's score counts."""
        self._sources = tuple(sources)
        self._ranker = ranker

    def scores(self, rows: IndexBatch, pool: Indices, chosen: Indices, recent: IndexBatch | None = None) -> Floats:
        """Return the scores [B,n] of the candidates `chosen` [n] among all candidates `pool` [K].

        rows: a whole history, then B-1 others. Candidates that a history scores alike, as an empty one does, stand in
        the order of the whole one. recent: the newest events of the first rows, to save time: the user vectors of
        networks are then estimated as that of the whole history and the difference that the newest events make.
        """
        first, *others = self._sources
        reading = self._read(first, rows, recent)
        if self._ranker is None:
            return first.scores(reading, _repeated(chosen, len(rows.lengths)))
        places = _repeated(pool, len(rows.lengths))
        scores = first.scores(reading, places)
        whole = _repeated(np.argsort(-scores[0], kind="stable"), len(scores))
        order = np.take_along_axis(whole, np.argsort(-np.take_along_axis(scores, whole, axis=1), kind="stable"), axis=1)
        candidates = Candidates(
            rows,
            reading if isinstance(first, IndexedSource) else np.empty((len(reading), 0), dtype=np.float32),
            np.take_along_axis(places, order, axis=1),
            np.take_along_axis(scores, order, axis=1),
            {
                source.name: np.take_along_axis(source.scores(self._read(source, rows, recent), places), order, axis=1)
                for source in others
            },
        )
        return scores_at(self._ranker, candidates, _places(candidates.indices, chosen))

    def _read(self, source: Source, rows: IndexBatch, recent: IndexBatch | None) -> Reading:
        if recent is None or not isinstance(source, VectorSource):
            return source.read(rows)
        reading = _repeated(source.read(rows.only(WHOLE))[0], len(rows.lengths)).copy()
        short = source.read(recent)
        reading[: len(short)] += short - short[:1]
        return reading


def _repeated(row: npt.NDArray[Number], times: int) -> npt.NDArray[Number]:
    return np.broadcast_to(row, (times, *row.shape))


def _places(indices: Indices, chosen: Indices) -> Indices:
    """Return where in each row of `indices` [B,K] the `chosen` [n] stand, as [B,n]."""
    order = np.argsort(indices, axis=1)
    ordered = np.take_along_axis(indices, order, axis=1)
    return np.stack([own[np.searchsorted(row, chosen)] for row, own in zip(ordered, order, strict=True)])
