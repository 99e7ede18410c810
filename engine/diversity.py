"""Diversity: a list whose items differ from each other, at a price in their scores."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]


RELEVANCE, FALL = 4.8, 1.3
"""How much the first place counts against likeness, and how fast that falls by rank (docs/decisions/0010)."""


def diverse_places(vectors: Floats, n: int, diversity: float) -> Indices:
    """Return which n of K places, in ascending order, make a list whose items differ from each other.

    vectors [K,E] are those of the items in the order of their scores, of length 1, or zeros for an item that is like no
    other. Places are chosen one after the other, each the best by

        (1 - diversity) * relevance - diversity * (its mean cosine with what was chosen before)

    as in maximal marginal relevance (Carbonell & Goldstein, "The use of MMR", 1998), but for the mean in place of the
    maximum. relevance falls with the place in the order of scores. diversity 0 gives the first n.
    """
    relevance = (1.0 - diversity) * RELEVANCE / np.arange(1, len(vectors) + 1) ** FALL
    likeness = np.zeros(len(vectors))
    chosen = np.empty(min(n, len(vectors)), dtype=np.int64)
    for count in range(len(chosen)):
        best = int(np.argmax(relevance - diversity * likeness / max(count, 1)))
        chosen[count] = best
        relevance[best] = -np.inf
        likeness += vectors @ vectors[best]
    return np.sort(chosen)
