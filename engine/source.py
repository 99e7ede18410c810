"""Source: the first stage, or one of several; it proposes candidates for a history."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from engine.limits import Limits
from engine.window import IndexBatch

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
Reading = npt.NDArray[Any]


class Source(Protocol):
    """Proposes candidates, and scores any item.

    A reading [B,...] is what the source takes from B histories; it is computed once a request and passed back.
    """

    @property
    def name(self) -> str:
        """The name that answers and feature names show."""
        ...

    @property
    def depth(self) -> int:
        """How many candidates it proposes for a ranker."""
        ...

    def read(self, rows: IndexBatch) -> Reading:
        """Take from each history what the two methods below need."""
        ...

    def search(self, reading: Reading, limits: Limits, depth: int) -> tuple[Indices, Floats]:
        """Return the best items within the limits: indices [B,depth] (-1 where there are fewer) and scores."""
        ...

    def scores(self, reading: Reading, candidates: Indices) -> Floats:
        """Return the score of each candidate [B,K]; what stands at -1 means nothing."""
        ...


def without(excluded: Sequence[Indices], indices: Indices, scores: Floats, depth: int) -> tuple[Indices, Floats]:
    """Return the first `depth` of each row that are neither excluded nor -1, then -1; rows keep their order."""
    kept = np.full((len(indices), depth), -1, dtype=np.int64)
    kept_scores = np.full((len(indices), depth), -np.inf, dtype=np.float32)
    for row, out in enumerate(excluded):
        places = np.flatnonzero((indices[row] >= 0) & ~among(indices[row], out))[:depth]
        kept[row, : len(places)], kept_scores[row, : len(places)] = indices[row, places], scores[row, places]
    return kept, kept_scores


def among(indices: Indices, others: Indices) -> npt.NDArray[np.bool_]:
    """Return which of the indices [K] are among the others, as np.isin does of long arrays in less time of short."""
    if not len(others):
        return np.zeros(len(indices), dtype=bool)
    ordered = np.sort(others)
    found: npt.NDArray[np.bool_] = ordered.take(ordered.searchsorted(indices), mode="clip") == indices
    return found


def best_of(choices: Sequence[Indices], score: Callable[[int, Indices], Floats], depth: int) -> tuple[Indices, Floats]:
    """Return the `depth` best of each row's choices, best first, then -1; `score` gives those [Y] of one row."""
    indices = np.full((len(choices), depth), -1, dtype=np.int64)
    scores = np.full((len(choices), depth), -np.inf, dtype=np.float32)
    for row, choice in enumerate(choices):
        own = score(row, choice)
        best = np.argsort(-own, kind="stable")[:depth]
        indices[row, : len(best)], scores[row, : len(best)] = choice[best], own[best]
    return indices, scores
