"""Pick: one place of an answer before it has a name; and how the proposals of several sources become one list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from engine.exposure import Draw
from engine.features import Candidates
from engine.source import Reading, Source, among

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
EXPLORATION = "exploration"


class Pick(NamedTuple):
    """An item by its index, with what the answer says of it."""

    item_index: int
    score: float
    reason: tuple[str, ...]
    propensity: float | None = None


def picks_of(candidates: Candidates, row: int, places: Indices, scores: Floats) -> list[Pick]:
    """Return the candidates of one history at some places, with their scores [K] and the sources that proposed them."""
    proposed = [(name, by[row, places].tolist()) for name, by in candidates.proposed.items()]
    pairs = zip(candidates.indices[row, places].tolist(), scores[places].tolist(), strict=True)
    return [
        Pick(index, score, tuple([name for name, by in proposed if by[rank]]))
        for rank, (index, score) in enumerate(pairs)
    ]


def indices_of(picks: Sequence[Pick]) -> Indices:
    """Return the item indices [n]."""
    return np.array([pick.item_index for pick in picks], dtype=np.int64)


def with_draws(picks: Sequence[Pick], pool: Indices, draws: Mapping[int, Draw]) -> list[Pick]:
    """Return as many picks, with items of the pool at the places that were drawn; the last picks give way.

    A drawn item has the score of the one that would stand there, so that the list keeps the order of its scores.
    """
    mixed, regular = list[Pick](), 0
    for place, _ in enumerate(picks):
        if (draw := draws.get(place)) is None:
            mixed.append(picks[regular])
            regular += 1
        else:
            mixed.append(Pick(int(pool[draw.position]), picks[regular].score, (EXPLORATION,), draw.propensity))
    return mixed


def joined(
    first: Source, reading: Reading, indices: Indices, scores: Floats, others: Sequence[Indices]
) -> tuple[Indices, Floats]:
    """Append what the other sources propose beyond `indices`, in the first source's order."""
    more = _without_repeats(np.concatenate(others, axis=1))
    more = np.where(contains(indices, more), -1, more)
    more_scores = np.where(more >= 0, first.scores(reading, more), -np.inf)
    order = np.argsort(-more_scores, axis=1, kind="stable")[:, : int((more >= 0).sum(axis=1).max())]
    more, more_scores = np.take_along_axis(more, order, axis=1), np.take_along_axis(more_scores, order, axis=1)
    joined_scores = np.concatenate((scores, more_scores), axis=1).astype(np.float32)
    return np.concatenate((indices, more), axis=1), joined_scores


def contains(own: Indices, indices: Indices) -> npt.NDArray[np.bool_]:
    """Return which of `indices` [B,K] occur in the same row of `own`."""
    if own is indices:
        return indices >= 0
    found = np.stack([among(row, mine) for row, mine in zip(indices, own, strict=True)])
    return found & (indices >= 0)


def _without_repeats(indices: Indices) -> Indices:
    """Return rows sorted, with -1 in place of each repeated index."""
    ordered = np.sort(indices, axis=1)
    repeated = np.diff(ordered, axis=1, prepend=-2) == 0
    return np.where(repeated, -1, ordered)
