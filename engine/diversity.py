"""Diversity: a list whose items differ from each other, at a price in their scores."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]


def diverse_order(scores: Floats, vectors: Floats, n: int, diversity: float) -> Indices:
    """Return the places of n of K items, one after the other, each the best by

        (1 - diversity) * relevance - diversity * (its highest cosine with what was chosen before)

    which is maximal marginal relevance (Carbonell & Goldstein, "The use of MMR", 1998). scores [K]: the higher the
    better; relevance is how many standard deviations of the n best scores one is from the best. vectors [K,E] have
    length 1, or are zeros for an item that is like no other. diversity 0 gives the order of the scores.
    """
    relevance = (1.0 - diversity) * _relevance(scores, n)
    likeness = np.zeros(len(scores), dtype=np.float32)
    chosen = np.empty(min(n, len(scores)), dtype=np.int64)
    for place in range(len(chosen)):
        best = int(np.argmax(relevance - diversity * likeness))
        chosen[place] = best
        relevance[best] = -np.inf
        np.maximum(likeness, vectors @ vectors[best], out=likeness)
    return chosen


def _relevance(scores: Floats, n: int) -> Floats:
    best = np.sort(scores)[::-1][:n]
    spread = float(best.std())
    return (scores - best[0]) / spread if spread > 0 else np.zeros_like(scores)
