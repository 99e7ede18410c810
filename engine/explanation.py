"""Explanation: which items of a history an item is recommended for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.counterfactual import Counterfactual
from engine.events import History
from engine.features import Candidates
from engine.items import ItemTable
from engine.ranking import HISTORY, Ranker
from engine.source import Source
from engine.window import HistoryColumns, HistoryWindow, IndexBatch

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
MOST_CAUSES = 5
RECENT, RECENT_ALONE = 20, 32
"""How many of the newest events networks reread for an estimate, and how many where no ranker takes time."""


@dataclass(frozen=True, slots=True)
class Cause:
    """An item of the history that speaks for a recommended one: without it that would score lower.

    weight: its share, in 0..1, of what all such items of the history add to the score, those not named too.
    drop: by how much the score falls without it, in the score's units before boosts; None where it was only estimated.
    """

    item_id: str
    weight: float
    drop: float | None


@dataclass(frozen=True, slots=True)
class Drops:
    """causes [H]: items of the history, the newest first; drops [H,n]: what each adds to the score of n items."""

    causes: Indices
    drops: Floats


class Explainer:
    """Takes each item out of a history, with all its events, and asks what the recommended items score then.

    Without a ranker the first source's score is explained. Nothing is kept.
    """

    def __init__(
        self, items: ItemTable, window: HistoryWindow, sources: Sequence[Source], ranker: Ranker | None
    ) -> None:
        """Take the parts of a recommender."""
        self._items = items
        self._window = window
        self._scoring = Counterfactual(sources, ranker)
        self.recent = RECENT_ALONE if ranker is None else RECENT

    def explain(
        self, history: History, candidates: Candidates, item_indices: Indices, *, counterfactual: bool
    ) -> list[tuple[Cause, ...]]:
        """Return at most five causes of each item [n], the largest first; none for an item that is no candidate.

        candidates: the one row that the scores come from. Causes are items of the newest 50 events that a network can
        read.
        """
        chosen = np.isin(item_indices, candidates.indices[0]) & (item_indices >= 0)
        found = self.drops(history, candidates, item_indices[chosen], None if counterfactual else self.recent)
        explained = (self._causes(found.causes, drops, counterfactual) for drops in found.drops.T)
        return [next(explained) if each else () for each in chosen.tolist()]

    def drops(
        self, history: History, candidates: Candidates, item_indices: Indices, recent: int | None = None
    ) -> Drops:
        """Return the signed drops of items that are candidates: below 0 for what speaks against an item.

        recent: if given, the drops are estimated; the networks of sources then read just so many of the newest events.
        """
        columns = self._window.columns([history], self._items)
        causes = _newest_items(columns, HISTORY)
        if not len(causes) or not len(item_indices):
            return Drops(causes, np.zeros((len(causes), len(item_indices)), dtype=np.float32))
        shorter = None if recent is None else self._without_each(_newest(columns, recent), recent)
        scores = self._scoring.scores(self._without_each(columns, HISTORY), candidates, item_indices, shorter)
        return Drops(causes, scores[:1] - scores[1:])

    def _without_each(self, columns: HistoryColumns, newest: int) -> IndexBatch:
        """Return one user's history as it is, then without each item of its newest events: 1+H histories."""
        causes = _newest_items(columns, newest)
        rows, events = 1 + len(causes), len(columns.item_index)
        keep = np.ones((rows, events), dtype=bool)
        keep[1:] = columns.item_index != causes[:, None]
        copies = columns.runs(np.zeros(rows, dtype=np.int64), np.full(rows, events)).kept(keep.ravel())
        return self._window.newest(copies, self._items.vocabulary.padding_index)

    def _causes(self, causes: Indices, drops: Floats, counterfactual: bool) -> tuple[Cause, ...]:
        total = float(np.maximum(drops, 0.0).sum())
        order = np.argsort(-drops, kind="stable")[:MOST_CAUSES]
        return tuple(
            Cause(self._items.vocabulary.id_of(int(causes[place])), drop / total, drop if counterfactual else None)
            for place in order.tolist()
            if (drop := float(drops[place])) > 0
        )


def _newest(columns: HistoryColumns, count: int) -> HistoryColumns:
    """Return the newest events of one user's history."""
    end = columns.offsets[1:]
    return columns.runs(np.maximum(end - count, 0), end)


def _newest_items(columns: HistoryColumns, count: int) -> Indices:
    """Return the different items of the newest events of one user, that of the last event first."""
    items = _newest(columns, count).item_index[::-1]
    _, first = np.unique(items, return_index=True)
    return items[np.sort(first)]
