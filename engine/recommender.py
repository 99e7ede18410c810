"""Recommender: encode -> retrieve -> filter -> rerank -> top up, for training and for the service."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from itertools import groupby

import numpy as np
import numpy.typing as npt

from engine.candidate_search import CandidateSearch, user_vectors_of
from engine.catalogue import Catalogue
from engine.errors import QueryError
from engine.events import History
from engine.explanation import Explainer
from engine.exploring import Exploring, not_picked
from engine.features import Candidates
from engine.item_tower import ItemTower
from engine.items import ItemTable
from engine.limits import Limits
from engine.picks import Pick, indices_of, picks_of
from engine.query import MAX_ITEMS, Query
from engine.ranking import Ranker, rerank
from engine.ratings import RatingPredictor
from engine.recommendation import Recommendation, RecommendedItem
from engine.selection import Selection
from engine.source import Source
from engine.steering import POOL, Steering
from engine.vocabulary import UNKNOWN
from engine.window import HistoryColumns, HistoryWindow

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
MAX_BATCH = 256
POPULAR = "popular"
RETRIEVAL = "retrieval"
RERANK = "rerank"
POPULARITY = "popularity"
NONE = np.empty(0, dtype=np.int64)
LOOKED_AT = 2_048
"""Up to so many items are looked at one by one, where a query names them; more are a filter of the search."""


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
        self.clock: Callable[[], float] = time.time
        self.random = np.random.default_rng()
        self._ranker = ranker

    def without_ranker(self) -> Recommender:
        """Return the same recommender with the first source only."""
        return self.of_source(self.sources[0].name)

    def of_source(self, name: str) -> Recommender:
        """Return the same recommender with one source and no ranker; raises QueryError if there is none of the name."""
        chosen = [source for source in self.sources if source.name == name]
        if not chosen:
            names = ", ".join(sorted(source.name for source in self.sources))
            raise QueryError(f"model: {name!r} is unknown; there are {names} and {POPULAR}, or leave it out for all")
        alone = copy(self)
        alone.sources, alone._ranker = tuple(chosen), None
        return alone

    def weigh(self, weights: Mapping[str, float]) -> None:
        """Give kinds of events other weights, or weights at all (see HistoryWindow)."""
        self.window = self.window.with_weights(weights)

    def user_vectors(self, histories: Sequence[History]) -> Floats:
        """Return the first source's user vectors [B,E]; a history without a known item gives zeros."""
        rows = self.window.newest(self.window.columns(histories, self.items), self.items.vocabulary.padding_index)
        return user_vectors_of(self.sources[0], self.sources[0].read(rows))

    def recommend(self, queries: Sequence[Query]) -> list[Recommendation]:
        """Answer each query on its own; a history without a known item gets the most popular items."""
        if self._ranker is None and len(self.sources) > 1:
            return self.without_ranker().recommend(queries)
        answers: list[Recommendation] = []
        for _, alike in groupby(queries, key=lambda query: id(query.only)):
            lot = list(alike)
            for start in range(0, len(lot), MAX_BATCH):
                answers += self._recommend_batch(lot[start : start + MAX_BATCH])
        return answers

    def candidates(self, columns: HistoryColumns, excluded: Sequence[Indices]) -> Candidates:
        """Return what the sources propose for each history, none of it excluded (see CandidateSearch)."""
        return self._search().candidates(columns, Limits(excluded, self.items.rows.forbidden))

    def candidates_for(self, histories: Sequence[History]) -> Candidates:
        """Return what the sources propose of the items that each history has not seen."""
        columns = self.window.columns(histories, self.items)
        return self.candidates(columns, [self._known(history.seen()) for history in histories])

    def readable(self, histories: Sequence[History]) -> npt.NDArray[np.bool_]:
        """Return which histories [B] hold something that a network can read; others get the popular items."""
        return np.diff(self.window.columns(histories, self.items).offsets) > 0

    def popular(self, query: Query) -> Recommendation:
        """Return the most popular items that the query does not exclude: an answer that needs no history."""
        candidates, picks, is_steered = NONE, list[Pick](), self._steering().is_wanted(query)
        if query.exposure or is_steered:
            found = self._popular_candidates(query)
            candidates = found.indices[0]
            picks = self._picks(query, found, 0, POOL) if is_steered else []
        answer = self._answer(query, picks, POPULAR, candidates)
        # No item of a history speaks for what is popular.
        return _without_causes(answer) if query.is_explained else answer

    def _search(self) -> CandidateSearch:
        return CandidateSearch(self.items, self.window, self.sources)

    def _steering(self) -> Steering:
        return Steering(self.items, self.window, self.catalogue.likeness, self.clock)

    def _limits(self, excluded: Sequence[Indices], only: Selection | None) -> Limits:
        forbidden = self.items.rows.forbidden
        if only is None:
            return Limits(excluded, forbidden)
        if len(only) <= LOOKED_AT:
            return Limits(excluded, forbidden, only.rows)
        return Limits(excluded, only.forbidding(forbidden, self.items.rows.end))

    def _recommend_batch(self, queries: Sequence[Query]) -> list[Recommendation]:
        # Each history is looked up once, for all that is to be read of it.
        found = [self._found(query.history) for query in queries]
        columns = self.window.columns([query.history for query in queries], self.items, np.concatenate(found))
        rows = np.flatnonzero(np.diff(columns.offsets)).tolist()
        if len(rows) == len(queries):
            return self._personal(queries, found, columns)
        readable = columns.runs(columns.offsets[rows], columns.offsets[1:][rows])
        some = [queries[row] for row in rows], [found[row] for row in rows]
        answers = dict(zip(rows, self._personal(*some, readable) if rows else [], strict=True))
        return [answers.get(row) or self.popular(query) for row, query in enumerate(queries)]

    def _personal(
        self, queries: Sequence[Query], found: Sequence[Indices], columns: HistoryColumns
    ) -> list[Recommendation]:
        excluded = [self._excluded(query, own) for query, own in zip(queries, found, strict=True)]
        limits = self._limits(excluded, queries[0].only)
        # So few items that all of them can be reranked.
        depth = 0 if limits.only is None or len(limits.only) > MAX_ITEMS else len(limits.only)
        search, source = self._search(), RETRIEVAL
        candidates = search.candidates(columns, limits, depth)
        if self._ranker is not None:
            candidates, source = rerank(self._ranker, candidates), RERANK
        n, enough = max(query.n for query in queries), max(self.sources[0].depth, depth)
        reranked, width = candidates, candidates.indices.shape[1]
        if n > enough:
            candidates = search.deepened(candidates, limits, n)
        answers = []
        for row, query in enumerate(queries):
            # What a batch mate wants must not change an answer.
            own = candidates.cut(width + query.n if query.n > enough else width)
            picks = self._picks(query, own, row, width)
            answer = self._answer(query, picks, source, own.indices[row], own.user_vectors[row], found[row])
            answers.append(self._explained(query, answer, reranked.of(row)) if query.is_explained else answer)
        return answers

    def _picks(self, query: Query, candidates: Candidates, row: int, of: int) -> list[Pick]:
        steering, indices = self._steering(), candidates.indices[row]
        scores = steering.scores(query, indices, candidates.scores[row], of)
        return picks_of(candidates, row, steering.order(query, indices, scores), scores)

    def _popular_candidates(self, query: Query) -> Candidates:
        """Return the most popular items that the query allows, more than n, as if a source had found them."""
        order = self._popular_rows(query, query.n + POOL)
        popularity = np.log1p(self.items.column(POPULARITY, order))[None]
        rows = self.window.newest(self.window.columns([History()], self.items), self.items.vocabulary.padding_index)
        proposed = {POPULAR: np.ones((1, len(order)), dtype=bool)}
        return Candidates(rows, np.empty((1, 0), dtype=np.float32), order[None], popularity, proposed=proposed)

    def _excluded(self, query: Query, found: Indices | None = None) -> Indices:
        """Return what a query must not get, each item once."""
        asked = self.items.vocabulary.indices_of(query.exclude)
        seen = set() if query.shows_seen else set((self._found(query.history) if found is None else found).tolist())
        return np.array(list(seen.union(asked.tolist()) - {UNKNOWN}), dtype=np.int64)

    def _found(self, history: History) -> Indices:
        return self.items.vocabulary.indices_of(event.item_id for event in history.events)

    def _known(self, item_ids: frozenset[str]) -> Indices:
        indices = self.items.vocabulary.indices_of(item_ids)
        return indices[indices >= 0]

    def _permitted(self, query: Query, order: Indices, most: int, picks: Sequence[Pick] = ()) -> Indices:
        """Return the first items of an order that the query allows and that are no pick."""
        taken = np.concatenate((indices_of(picks), self._excluded(query)))
        if query.only is not None:
            order = order[query.only.contains(order)]
        order = order[: most + len(taken)]
        return order[~np.isin(order, taken)][:most]

    def _popular_rows(self, query: Query, most: int, picks: Sequence[Pick] = ()) -> Indices:
        """Return the most popular items that the query allows and that are no pick."""
        popular, only = self.items.popular, query.only
        if only is not None and len(only) <= LOOKED_AT:
            return self._permitted(query, popular.sorted(only.rows), most, picks)
        taken = np.concatenate((indices_of(picks), self._excluded(query)))
        if only is None:
            return popular.first(most, lambda rows: ~np.isin(rows, taken))
        return popular.first(most, lambda rows: only.contains(rows) & ~np.isin(rows, taken))

    def _answer(
        self,
        query: Query,
        picks: Sequence[Pick],
        source: str,
        candidates: Indices,
        user_vector: Floats | None = None,
        found: Indices | None = None,
    ) -> Recommendation:
        picks = [*picks, *self._top_up(query, picks)]
        if query.exposure is not None:
            picks = self._exploring().explored(
                query.exposure,
                picks,
                not_picked(candidates, picks),
                lambda pool: self._permitted(query, pool, len(pool), picks),
                user_vector,
                self.clock(),
            )
        ratings: list[float] | None = None
        if self.ratings is not None:
            ratings = self.ratings.predict(query.history, indices_of(picks), found).tolist()
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

    def _exploring(self) -> Exploring:
        return Exploring(self.items, self.sources[0], self.random)

    def _top_up(self, query: Query, picks: Sequence[Pick]) -> list[Pick]:
        missing = query.n - len(picks)
        if not missing:
            return []
        more = self._popular_rows(query, missing, picks)
        share = self.items.column(POPULARITY, more) / max(self.items.popular.largest, 1.0)
        # Popularity is no score of the networks: what tops up always stands below what they chose.
        lowest = min((pick.score for pick in picks), default=1.0)
        below = np.minimum(lowest - 1.0 + share, lowest).astype(np.float32)
        return [Pick(index, score, (POPULAR,)) for index, score in zip(more.tolist(), below.tolist(), strict=True)]

    def _explained(self, query: Query, answer: Recommendation, candidates: Candidates) -> Recommendation:
        explainer = Explainer(self.items, self.window, self.sources, self._ranker)
        indices = self.items.vocabulary.indices_of(item.item_id for item in answer.items)
        # What chance chose has no cause, though it may be a candidate.
        indices[[item.propensity is not None for item in answer.items]] = -1
        causes = explainer.explain(query.history, candidates, indices, counterfactual=query.is_counterfactual)
        pairs = zip(answer.items, causes, strict=True)
        return replace(answer, items=tuple(replace(item, because=because) for item, because in pairs))


def _without_causes(answer: Recommendation) -> Recommendation:
    return replace(answer, items=tuple(replace(item, because=()) for item in answer.items))
