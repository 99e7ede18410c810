"""Recommender: encode -> retrieve -> filter -> rerank -> top up, for training and for the service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from engine.catalogue import Catalogue
from engine.errors import QueryError
from engine.events import History
from engine.exposure import Exposure
from engine.features import Candidates, below_best
from engine.indexed_source import IndexedSource
from engine.item_tower import ItemTower
from engine.items import ItemTable
from engine.limits import Limits
from engine.ranking import Ranker, rerank
from engine.ratings import RatingPredictor
from engine.source import Reading, Source
from engine.window import HistoryColumns, HistoryWindow

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
MAX_ITEMS = 500
MAX_BATCH = 256
POPULAR = "popular"
RETRIEVAL = "retrieval"
RERANK = "rerank"


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked for: the best `n` items (1..500) for a history, without what it has seen and what is excluded.

    only: if given, of these items alone. exposure: what new items get beyond what their scores give them.
    """

    history: History
    n: int = 10
    exclude: frozenset[str] = field(default=frozenset())
    only: frozenset[str] | None = None
    exposure: Exposure | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.n <= MAX_ITEMS:
            raise QueryError(f"n is {self.n}; it must be within 1..{MAX_ITEMS}")


@dataclass(frozen=True, slots=True)
class RecommendedItem:
    """One row of an answer; `reason` names the sources that proposed the item.

    propensity: the probability with which exploration put this item at this place, None where it was not exploration.
    """

    item_id: str
    score: float
    predicted_rating: float | None
    reason: tuple[str, ...]
    propensity: float | None = None


@dataclass(frozen=True, slots=True)
class Recommendation:
    """An answer, best item first; `source` is the last stage that shaped it: "rerank", "retrieval" or "popular"."""

    items: tuple[RecommendedItem, ...]
    source: str


class Recommender:
    """The whole path from histories to answers; holds no state of any user.

    The first source gives the retrieved order; the further ones propose candidates for the ranker.
    """

    def __init__(
        self,
        items: ItemTable,
        window: HistoryWindow,
        sources: Sequence[Source],
        *,
        ranker: Ranker | None = None,
        ratings: RatingPredictor | None = None,
        towers: Mapping[str, ItemTower] | None = None,
        content_vectors: Floats | None = None,
    ) -> None:
        self.items = items
        self.window = window
        self.sources = tuple(sources)
        self.ratings = ratings
        self.catalogue = Catalogue(items, sources, towers, content_vectors)
        self._ranker = ranker

    def without_ranker(self) -> Recommender:
        """Return the same recommender with the first source only."""
        first = copy(self)
        first.sources, first._ranker = self.sources[:1], None
        return first

    def user_vectors(self, histories: Sequence[History]) -> Floats:
        """Return the first source's user vectors [B,E]; a history without a known item gives zeros."""
        rows = self.window.newest(self.window.columns(histories, self.items), self.items.vocabulary.padding_index)
        return _user_vectors(self.sources[0], self.sources[0].read(rows))

    def recommend(self, queries: Sequence[Query]) -> list[Recommendation]:
        """Answer each query on its own; a history without a known item gets the most popular items."""
        if self._ranker is None and len(self.sources) > 1:
            return self.without_ranker().recommend(queries)
        answers: list[Recommendation] = []
        for start in range(0, len(queries), MAX_BATCH):
            answers += self._recommend_batch(queries[start : start + MAX_BATCH])
        return answers

    def candidates(self, columns: HistoryColumns, excluded: Sequence[Indices]) -> Candidates:
        """Return what the sources propose for each history, none of it excluded.

        The first source's candidates stand first; those that only further sources propose follow in its order.
        """
        first, *others = self.sources
        rows = self.window.newest(columns, self.items.vocabulary.padding_index)
        reading, readings = first.read(rows), [source.read(rows) for source in others]
        limits = Limits(excluded, self.items.rows.forbidden)
        indices, scores = first.search(reading, limits, first.depth)
        proposed = {first.name: indices}
        for source, each in zip(others, readings, strict=True):
            proposed[source.name], _ = source.search(each, limits, source.depth)
        if others:
            indices, scores = _joined(first, reading, indices, scores, [proposed[each.name] for each in others])
        return Candidates(
            rows,
            _user_vectors(first, reading),
            indices,
            scores,
            {source.name: source.scores(each, indices) for source, each in zip(others, readings, strict=True)},
            {name: _contains(own, indices) for name, own in proposed.items()},
        )

    def candidates_for(self, histories: Sequence[History]) -> Candidates:
        """Return what the sources propose of the items that each history has not seen."""
        columns = self.window.columns(histories, self.items)
        return self.candidates(columns, [self._known(history.seen()) for history in histories])

    def readable(self, histories: Sequence[History]) -> npt.NDArray[np.bool_]:
        """Return which histories [B] hold something that a network can read; others get the popular items."""
        return np.diff(self.window.columns(histories, self.items).offsets) > 0

    def popular(self, query: Query) -> Recommendation:
        """Return the most popular items that the query does not exclude: an answer that needs no history."""
        return self._answer(query, _Picked.nothing(), POPULAR)

    def _recommend_batch(self, queries: Sequence[Query]) -> list[Recommendation]:
        columns = self.window.columns([query.history for query in queries], self.items)
        rows = np.flatnonzero(np.diff(columns.offsets))
        readable = columns.runs(columns.offsets[rows], columns.offsets[rows + 1])
        personal = self._personal([queries[row] for row in rows.tolist()], readable) if len(rows) else []
        answers = dict(zip(rows.tolist(), personal, strict=True))
        return [answers.get(row) or self.popular(query) for row, query in enumerate(queries)]

    def _personal(self, queries: Sequence[Query], columns: HistoryColumns) -> list[Recommendation]:
        excluded = [self._excluded(query) for query in queries]
        candidates, source = self.candidates(columns, excluded), RETRIEVAL
        if self._ranker is not None:
            candidates, source = rerank(self._ranker, candidates), RERANK
        n = max(query.n for query in queries)
        if n > self.sources[0].depth:
            candidates = self._deepened(candidates, excluded, n)
        picked = [_Picked.of(candidates, row, query.n) for row, query in enumerate(queries)]
        return [self._answer(query, each, source) for query, each in zip(queries, picked, strict=True)]

    def _deepened(self, candidates: Candidates, excluded: Sequence[Indices], n: int) -> Candidates:
        """Append what the first source finds beyond its depth; scores are shifted so that they never rise."""
        first = self.sources[0]
        taken = [np.concatenate(pair) for pair in zip(excluded, candidates.indices, strict=True)]
        indices, scores = first.search(first.read(candidates.rows), Limits(taken, self.items.rows.forbidden), n)
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

    def _excluded(self, query: Query) -> Indices:
        return self._known(query.history.seen() | query.exclude)

    def _known(self, item_ids: frozenset[str]) -> Indices:
        indices = self.items.vocabulary.indices_of(item_ids)
        return indices[indices >= 0]

    def _answer(self, query: Query, picked: _Picked, source: str) -> Recommendation:
        chosen, scores = self._top_up(query, picked.indices, picked.scores)
        ratings = self.ratings.predict(query.history, chosen) if self.ratings else None
        reasons = [*picked.reasons, *[(POPULAR,)] * (len(chosen) - len(picked.reasons))]
        return Recommendation(
            tuple(
                RecommendedItem(
                    item_id=self.items.vocabulary.id_of(int(index)),
                    score=float(score),
                    predicted_rating=None if ratings is None else float(ratings[rank]),
                    reason=reasons[rank],
                )
                for rank, (index, score) in enumerate(zip(chosen, scores, strict=True))
            ),
            source,
        )

    def _top_up(self, query: Query, indices: Indices, scores: Floats) -> tuple[Indices, Floats]:
        missing = query.n - len(indices)
        if not missing:
            return indices, scores
        taken = np.concatenate((indices, self._excluded(query)))
        order = self.items.popularity_order()[: missing + len(taken)]
        more = order[~np.isin(order, taken)][:missing]
        share = self.items.column("popularity", more) / max(self.items.most_popular(), 1.0)
        # Popularity is no score of the networks: what tops up always stands below what they chose.
        lowest = float(scores[-1]) if len(scores) else 1.0
        below = np.minimum(lowest - 1.0 + share, lowest)
        return np.concatenate((indices, more)), np.concatenate((scores, below)).astype(np.float32)


@dataclass(frozen=True, slots=True)
class _Picked:
    """The best items of one history, and which sources proposed each."""

    indices: Indices
    scores: Floats
    reasons: list[tuple[str, ...]]

    @classmethod
    def of(cls, candidates: Candidates, row: int, n: int) -> _Picked:
        places = np.flatnonzero(candidates.indices[row] >= 0)[:n]
        proposed = [(name, by[row]) for name, by in candidates.proposed.items()]
        reasons = [tuple(name for name, by in proposed if by[place]) for place in places]
        return cls(candidates.indices[row][places], candidates.scores[row][places], reasons)

    @classmethod
    def nothing(cls) -> _Picked:
        return cls(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32), [])


def _joined(
    first: Source, reading: Reading, indices: Indices, scores: Floats, others: Sequence[Indices]
) -> tuple[Indices, Floats]:
    """Append what the other sources propose beyond `indices`, in the first source's order."""
    more = _without_repeats(np.concatenate(others, axis=1))
    more = np.where(_contains(indices, more), -1, more)
    more_scores = np.where(more >= 0, first.scores(reading, more), -np.inf)
    order = np.argsort(-more_scores, axis=1, kind="stable")[:, : int((more >= 0).sum(axis=1).max())]
    more, more_scores = np.take_along_axis(more, order, axis=1), np.take_along_axis(more_scores, order, axis=1)
    joined_scores = np.concatenate((scores, more_scores), axis=1).astype(np.float32)
    return np.concatenate((indices, more), axis=1), joined_scores


def _without_repeats(indices: Indices) -> Indices:
    """Return rows sorted, with -1 in place of each repeated index."""
    ordered = np.sort(indices, axis=1)
    repeated = np.diff(ordered, axis=1, prepend=-2) == 0
    return np.where(repeated, -1, ordered)


def _contains(own: Indices, indices: Indices) -> npt.NDArray[np.bool_]:
    """Return which of `indices` [B,K] occur in the same row of `own`."""
    found = np.stack([np.isin(row, mine) for row, mine in zip(indices, own, strict=True)])
    return found & (indices >= 0)


def _user_vectors(source: Source, reading: Reading) -> Floats:
    if isinstance(source, IndexedSource):
        return reading
    return np.empty((len(reading), 0), dtype=np.float32)
