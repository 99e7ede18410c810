"""CandidateSearch: the first stage, all sources together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from engine.features import Candidates, below_best
from engine.indexed_source import IndexedSource
from engine.items import ItemTable
from engine.limits import Limits
from engine.picks import contains, joined
from engine.source import Reading, Source
from engine.window import HistoryColumns, HistoryWindow

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]


class CandidateSearch:
    """Asks each source; the first one's candidates stand first, in its order, then what only the others propose."""

    def __init__(self, items: ItemTable, window: HistoryWindow, sources: Sequence[Source]) -> None:
        self._items = items
        self._window = window
        self._sources = sources

    def candidates(self, columns: HistoryColumns, limits: Limits, depth: int = 0) -> Candidates:
        """Return what the sources propose for each history within the limits, `depth` items of the first at least."""
        first, *others = self._sources
        rows = self._window.newest(columns, self._items.vocabulary.padding_index)
        reading, readings = first.read(rows), [source.read(rows) for source in others]
        indices, scores = first.search(reading, limits, max(first.depth, depth))
        proposed = {first.name: indices}
        for source, each in zip(others, readings, strict=True):
            proposed[source.name], _ = source.search(each, limits, source.depth)
        if others:
            indices, scores = joined(first, reading, indices, scores, [proposed[each.name] for each in others])
        return Candidates(
            rows,
            user_vectors_of(first, reading),
            indices,
            scores,
            {source.name: source.scores(each, indices) for source, each in zip(others, readings, strict=True)},
            {name: contains(own, indices) for name, own in proposed.items()},
        )

    def deepened(self, candidates: Candidates, limits: Limits, n: int) -> Candidates:
        """Append what the first source finds beyond its depth; scores are shifted so that they never rise."""
        first = self._sources[0]
        taken = [np.concatenate(pair) for pair in zip(limits.excluded, candidates.indices, strict=True)]
        indices, scores = first.search(first.read(candidates.rows), replace(limits, excluded=taken), n)
        lowest = np.where(candidates.indices >= 0, candidates.scores, 0.0).min(axis=1, keepdims=True, initial=0.0)
        steps = below_best(scores, indices)
        proposed = {name: np.pad(by, ((0, 0), (0, n))) for name, by in candidates.proposed.items()}
        proposed[first.name][:, -n:] = indices >= 0
        return Candidates(
            candidates.rows,
            candidates.user_vectors,
            np.concatenate((candidates.indices, indices), axis=1),
            np.concatenate((candidates.scores, lowest + steps), axis=1),
            proposed=proposed,
        )


def user_vectors_of(source: Source, reading: Reading) -> Floats:
    """Return the user vectors [B,E] that a source reads, [B,0] if it reads something else."""
    if isinstance(source, IndexedSource):
        return reading
    return np.empty((len(reading), 0), dtype=np.float32)
