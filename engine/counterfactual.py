"""Counterfactual: what the same candidates would have scored, had a history been another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from engine.candidate_search import user_vectors_of
from engine.features import Candidates
from engine.ranking import Ranker, scores_at
from engine.source import Reading, Source
from engine.vector_source import VectorSource
from engine.window import IndexBatch

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
Number = TypeVar("Number", bound=np.generic)
FIRST = np.zeros(1, dtype=np.int64)


class Counterfactual:
    """The path from histories to the scores of given candidates: read, score, features, rank; nothing is searched.

    The candidates stay the same, since features tell how a candidate stands among the others.
    """

    def __init__(self, sources: Sequence[Source], ranker: Ranker | None) -> None:
        """Take the parts of a recommender; without a ranker the first source's score counts."""
        self._sources = tuple(sources)
        self._ranker = ranker

    def scores(self, rows: IndexBatch, found: Candidates, chosen: Indices, recent: IndexBatch | None = None) -> Floats:
        """Return the scores [B,n] of the candidates `chosen` [n] among those `found` for one history.

        rows: that history, then B-1 others. Candidates that one of these scores alike, as an empty one does, stand in
        the order of the first. recent: the newest events of the first rows, to save time: the user vectors of networks
        are then estimated as that of the first history plus the difference that the newest events make.
        """
        first, *others = self._sources
        reading = self._read(first, rows, recent, found.user_vectors)
        if self._ranker is None:
            return first.scores(reading, _repeated(chosen, len(rows.lengths)))
        pool = _repeated(found.indices[0][found.indices[0] >= 0], len(rows.lengths))
        scores = first.scores(reading, pool)
        whole = np.argsort(-scores[0], kind="stable")
        order = whole[np.argsort(-scores[:, whole], axis=1, kind="stable")]
        candidates = Candidates(
            rows,
            user_vectors_of(first, reading),
            np.take_along_axis(pool, order, axis=1),
            np.take_along_axis(scores, order, axis=1),
            {
                source.name: np.take_along_axis(source.scores(self._read(source, rows, recent), pool), order, axis=1)
                for source in others
            },
        )
        return scores_at(self._ranker, candidates, _places(candidates.indices, chosen))

    def _read(
        self, source: Source, rows: IndexBatch, recent: IndexBatch | None, known: Floats | None = None
    ) -> Reading:
        if recent is None or not isinstance(source, VectorSource):
            return source.read(rows)
        whole = source.read(rows.only(FIRST)) if known is None else known
        short = source.read(recent)
        reading = np.repeat(whole, len(rows.lengths), axis=0)
        reading[: len(short)] += short - short[:1]
        return reading


def _repeated(row: npt.NDArray[Number], times: int) -> npt.NDArray[Number]:
    return np.broadcast_to(row, (times, *row.shape))


def _places(indices: Indices, chosen: Indices) -> Indices:
    """Return where in each row of `indices` [B,K] the `chosen` [n] stand, as [B,n]."""
    order = np.argsort(indices, axis=1)
    ordered = np.take_along_axis(indices, order, axis=1)
    return np.stack([own[np.searchsorted(row, chosen)] for row, own in zip(ordered, order, strict=True)])
