"""Recommender: encode -> retrieve -> filter -> rerank -> top up, for training and for the service."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from itertools import groupby

import numpy as np
import numpy.typing as npt

from engine.catalogue import Catalogue
from engine.errors import QueryError
from engine.events import History
from engine.exposure import Exposure, chances_of
from engine.features import Candidates, below_best
from engine.indexed_source import IndexedSource
from engine.item_tower import ItemTower
from engine.items import ItemTable
from engine.limits import Limits
from engine.picks import Pick, best_picks, contains, indices_of, joined, with_draws
from engine.ranking import Ranker, rerank
from engine.ratings import RatingPredictor
from engine.source import Reading, Source
from engine.window import SECONDS_PER_DAY, HistoryColumns, HistoryWindow

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

    propensity: the probability with which exploration put this item at this place (where more items are new than it
    weighs, see Exposure.draws), None where it was not exploration.
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

    The first source gives the retrieved order; the further ones propose candidates for the ranker. `clock` (unix
    seconds) and `random` are for exposure alone.
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
        self.clock: Callable[[], float] = time.time
        self.random = np.random.default_rng()

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
        for _, alike in groupby(queries, key=lambda query: query.only):
            lot = list(alike)
            for start in range(0, len(lot), MAX_BATCH):
                answers += self._recommend_batch(lot[start : start + MAX_BATCH])
        return answers

    def candidates(self, columns: HistoryColumns, excluded: Sequence[Indices]) -> Candidates:
        """Return what the sources propose for each history, none of it excluded.

        The first source's candidates stand first; those that only further sources propose follow in its order.
        """
        return self._candidates(columns, self._limits(excluded))

    def candidates_for(self, histories: Sequence[History]) -> Candidates:
        """Return what the sources propose of the items that each history has not seen."""
        columns = self.window.columns(histories, self.items)
        return self.candidates(columns, [self._known(history.seen()) for history in histories])

    def readable(self, histories: Sequence[History]) -> npt.NDArray[np.bool_]:
        """Return which histories [B] hold something that a network can read; others get the popular items."""
        return np.diff(self.window.columns(histories, self.items).offsets) > 0

    def popular(self, query: Query) -> Recommendation:
        """Return the most popular items that the query does not exclude: an answer that needs no history."""
        return self._answer(query, [], POPULAR)

    def _limits(self, excluded: Sequence[Indices], only: frozenset[str] | None = None) -> Limits:
        return Limits(excluded, self.items.rows.forbidden, None if only is None else np.sort(self._known(only)))

    def _candidates(self, columns: HistoryColumns, limits: Limits) -> Candidates:
        first, *others = self.sources
        rows = self.window.newest(columns, self.items.vocabulary.padding_index)
        reading, readings = first.read(rows), [source.read(rows) for source in others]
        indices, scores = first.search(reading, limits, first.depth)
        proposed = {first.name: indices}
        for source, each in zip(others, readings, strict=True):
            proposed[source.name], _ = source.search(each, limits, source.depth)
        if others:
            indices, scores = joined(first, reading, indices, scores, [proposed[each.name] for each in others])
        return Candidates(
            rows,
            _user_vectors(first, reading),
            indices,
            scores,
            {source.name: source.scores(each, indices) for source, each in zip(others, readings, strict=True)},
            {name: contains(own, indices) for name, own in proposed.items()},
        )

    def _recommend_batch(self, queries: Sequence[Query]) -> list[Recommendation]:
        columns = self.window.columns([query.history for query in queries], self.items)
        rows = np.flatnonzero(np.diff(columns.offsets))
        readable = columns.runs(columns.offsets[rows], columns.offsets[rows + 1])
        personal = self._personal([queries[row] for row in rows.tolist()], readable) if len(rows) else []
        answers = dict(zip(rows.tolist(), personal, strict=True))
        return [answers.get(row) or self.popular(query) for row, query in enumerate(queries)]

    def _personal(self, queries: Sequence[Query], columns: HistoryColumns) -> list[Recommendation]:
        limits = self._limits([self._excluded(query) for query in queries], queries[0].only)
        candidates, source = self._candidates(columns, limits), RETRIEVAL
        if self._ranker is not None:
            candidates, source = rerank(self._ranker, candidates), RERANK
        n = max(query.n for query in queries)
        if n > self.sources[0].depth:
            candidates = self._deepened(candidates, limits, n)
        return [
            self._answer(query, self._picks(query, candidates, row), source, candidates.user_vectors[row])
            for row, query in enumerate(queries)
        ]

    def _picks(self, query: Query, candidates: Candidates, row: int) -> list[Pick]:
        if query.exposure is None or not query.exposure.boost:
            return best_picks(candidates, row, query.n)
        ages = self.items.ages(candidates.indices[row], self.clock())
        scores = np.where(candidates.indices[row] >= 0, candidates.scores[row], -np.inf)
        return best_picks(candidates, row, query.n, query.exposure.boosted(scores, ages))

    def _deepened(self, candidates: Candidates, limits: Limits, n: int) -> Candidates:
        """Append what the first source finds beyond its depth; scores are shifted so that they never rise."""
        first = self.sources[0]
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

    def _excluded(self, query: Query) -> Indices:
        return self._known(query.history.seen() | query.exclude)

    def _known(self, item_ids: frozenset[str]) -> Indices:
        indices = self.items.vocabulary.indices_of(item_ids)
        return indices[indices >= 0]

    def _answer(
        self, query: Query, picks: Sequence[Pick], source: str, user_vector: Floats | None = None
    ) -> Recommendation:
        picks = [*picks, *self._top_up(query, picks)]
        if query.exposure is not None:
            picks = self._explored(query, query.exposure, picks, user_vector)
        ratings: list[float] | None = None
        if self.ratings is not None:
            ratings = self.ratings.predict(query.history, indices_of(picks)).tolist()
        return Recommendation(
            tuple(
                RecommendedItem(
                    item_id=self.items.vocabulary.id_of(pick.item_index),
                    score=pick.score,
                    predicted_rating=None if ratings is None else ratings[rank],
                    reason=pick.reason,
                    propensity=pick.propensity,
                )
                for rank, pick in enumerate(picks)
            ),
            source,
        )

    def _top_up(self, query: Query, picks: Sequence[Pick]) -> list[Pick]:
        missing = query.n - len(picks)
        if not missing:
            return []
        order, taken = self.items.popularity_order(), self._taken(query, picks)
        order = order[: missing + len(taken)] if query.only is None else order[np.isin(order, self._known(query.only))]
        more = order[~np.isin(order, taken)][:missing]
        share = self.items.column("popularity", more) / max(self.items.most_popular(), 1.0)
        # Popularity is no score of the networks: what tops up always stands below what they chose.
        lowest = picks[-1].score if picks else 1.0
        below = np.minimum(lowest - 1.0 + share, lowest).astype(np.float32)
        return [Pick(index, score, (POPULAR,)) for index, score in zip(more.tolist(), below.tolist(), strict=True)]

    def _taken(self, query: Query, picks: Sequence[Pick]) -> Indices:
        return np.concatenate((indices_of(picks), self._excluded(query)))

    def _explored(self, query: Query, exposure: Exposure, picks: list[Pick], user_vector: Floats | None) -> list[Pick]:
        places = exposure.explored(len(picks), self.random)
        if not places:
            return picks
        pool = self.items.fresh(self.clock() - exposure.fresh_days * SECONDS_PER_DAY)
        pool = pool[~np.isin(pool, self._taken(query, picks))]
        pool = pool if query.only is None else pool[np.isin(pool, self._known(query.only))]
        weighed = exposure.sample(pool, self.random)
        chances = self._chances(weighed, user_vector)
        return with_draws(picks, weighed, exposure.draws(places, chances, self.random, len(pool)))

    def _chances(self, pool: Indices, user_vector: Floats | None) -> npt.NDArray[np.float64]:
        first = self.sources[0]
        if user_vector is None or not isinstance(first, IndexedSource):
            return chances_of(np.zeros(len(pool)), np.zeros(len(pool), dtype=bool))
        return chances_of(first.scores(user_vector[None], pool[None])[0], first.knows(pool))


def _user_vectors(source: Source, reading: Reading) -> Floats:
    if isinstance(source, IndexedSource):
        return reading
    return np.empty((len(reading), 0), dtype=np.float32)
