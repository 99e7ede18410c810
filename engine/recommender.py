"""Recommender: encode -> retrieve -> filter -> rerank -> top up, for training and for the service."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from engine.encoder import Encoder
from engine.errors import QueryError
from engine.events import History
from engine.features import Candidates
from engine.index import VectorIndex
from engine.items import ItemTable
from engine.ranking import Ranker, rerank
from engine.ratings import RatingPredictor
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
    """What is asked for: the best `n` items (1..500) for a history, without what it has seen and what is excluded."""

    history: History
    n: int = 10
    exclude: frozenset[str] = field(default=frozenset())

    def __post_init__(self) -> None:
        if not 1 <= self.n <= MAX_ITEMS:
            raise QueryError(f"n is {self.n}; it must be within 1..{MAX_ITEMS}")


@dataclass(frozen=True, slots=True)
class RecommendedItem:
    """One row of an answer; `reason` names the source that proposed the item."""

    item_id: str
    score: float
    predicted_rating: float | None
    reason: str


@dataclass(frozen=True, slots=True)
class Recommendation:
    """An answer, best item first; `source` is the last stage that shaped it: "rerank", "retrieval" or "popular"."""

    items: tuple[RecommendedItem, ...]
    source: str


class Recommender:
    """The whole path from histories to answers; holds no state of any user."""

    def __init__(
        self,
        items: ItemTable,
        window: HistoryWindow,
        encoder: Encoder,
        index: VectorIndex,
        *,
        retriever_name: str,
        depth: int = 200,
        ranker: Ranker | None = None,
        ratings: RatingPredictor | None = None,
    ) -> None:
        self.items = items
        self.window = window
        self.ratings = ratings
        self._encoder = encoder
        self._index = index
        self._retriever_name = retriever_name
        self._depth = depth
        self._ranker = ranker
        self._popular = items.popularity_order()

    def without_ranker(self) -> Recommender:
        """Return the same recommender with the first stage only."""
        return Recommender(
            self.items,
            self.window,
            self._encoder,
            self._index,
            retriever_name=self._retriever_name,
            depth=self._depth,
            ratings=self.ratings,
        )

    def user_vectors(self, histories: Sequence[History]) -> Floats:
        """Return user vectors [B,E]; a history without a known item gives zeros."""
        batch = self.window.batch(self.window.columns(histories, self.items), self.items)
        vectors = self._encoder.encode(batch)
        return np.where(batch.lengths[:, None] > 0, vectors, 0.0).astype(np.float32)

    def recommend(self, queries: Sequence[Query]) -> list[Recommendation]:
        """Answer each query on its own; a history without a known item gets the most popular items."""
        answers: list[Recommendation] = []
        for start in range(0, len(queries), MAX_BATCH):
            answers += self._recommend_batch(queries[start : start + MAX_BATCH])
        return answers

    def candidates(self, columns: HistoryColumns, excluded: Sequence[Indices], depth: int) -> Candidates:
        """Return the best `depth` items of the first stage for each history, none of them excluded."""
        batch = self.window.batch(columns, self.items)
        user_vectors = self._encoder.encode(batch)
        indices, scores = self._search(user_vectors, excluded, depth)
        return Candidates(batch, user_vectors, indices, scores)

    def candidates_for(self, histories: Sequence[History], depth: int) -> Candidates:
        """Return the best `depth` items that each history has not seen."""
        columns = self.window.columns(histories, self.items)
        return self.candidates(columns, [self._known(history.seen()) for history in histories], depth)

    def popular(self, query: Query) -> Recommendation:
        """Return the most popular items that the query does not exclude: an answer that needs no history."""
        return self._answer(query, np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32), POPULAR)

    def _recommend_batch(self, queries: Sequence[Query]) -> list[Recommendation]:
        columns = self.window.columns([query.history for query in queries], self.items)
        rows = np.flatnonzero(np.diff(columns.offsets))
        readable = columns.runs(columns.offsets[rows], columns.offsets[rows + 1])
        personal = self._personal([queries[row] for row in rows.tolist()], readable) if len(rows) else []
        answers = dict(zip(rows.tolist(), personal, strict=True))
        return [answers.get(row) or self.popular(query) for row, query in enumerate(queries)]

    def _personal(self, queries: Sequence[Query], columns: HistoryColumns) -> list[Recommendation]:
        depth = max(self._depth, *(query.n for query in queries))
        candidates = self.candidates(columns, [self._excluded(query) for query in queries], depth)
        indices, scores, source = candidates.indices, candidates.scores, RETRIEVAL
        if self._ranker is not None:
            indices, scores = rerank(self._ranker, candidates, self._depth)
            source = RERANK
        return [
            self._answer(query, row, row_scores, source)
            for query, row, row_scores in zip(queries, indices, scores, strict=True)
        ]

    def _excluded(self, query: Query) -> Indices:
        return self._known(query.history.seen() | query.exclude)

    def _known(self, item_ids: frozenset[str]) -> Indices:
        indices = self.items.vocabulary.indices_of(item_ids)
        return indices[indices >= 0]

    def _search(self, user_vectors: Floats, excluded: Sequence[Indices], depth: int) -> tuple[Indices, Floats]:
        k = depth + max(len(indices) for indices in excluded)
        indices, scores = self._index.search(user_vectors, k)
        unwanted = np.stack([np.isin(row, out) for row, out in zip(indices, excluded, strict=True)])
        unwanted |= indices < 0
        # A stable sort on "unwanted" moves those to the end and keeps the order of the others.
        order = np.argsort(unwanted, axis=1, kind="stable")[:, :depth]
        kept = ~np.take_along_axis(unwanted, order, axis=1)
        indices = np.take_along_axis(indices, order, axis=1)
        return np.where(kept, indices, -1), np.take_along_axis(scores, order, axis=1)

    def _answer(self, query: Query, indices: Indices, scores: Floats, source: str) -> Recommendation:
        found = int(min((indices >= 0).sum(), query.n))
        chosen, chosen_scores = self._top_up(query, indices[:found], scores[:found])
        ratings = self.ratings.predict(query.history, chosen) if self.ratings else None
        return Recommendation(
            tuple(
                RecommendedItem(
                    item_id=self.items.vocabulary.id_of(int(index)),
                    score=float(score),
                    predicted_rating=None if ratings is None else float(ratings[rank]),
                    reason=self._retriever_name if rank < found else POPULAR,
                )
                for rank, (index, score) in enumerate(zip(chosen, chosen_scores, strict=True))
            ),
            source,
        )

    def _top_up(self, query: Query, indices: Indices, scores: Floats) -> tuple[Indices, Floats]:
        missing = query.n - len(indices)
        if not missing:
            return indices, scores
        taken = np.concatenate((indices, self._excluded(query)))
        more = self._popular[~np.isin(self._popular, taken)][:missing]
        share = self.items.columns["popularity"][more] / max(float(self.items.columns["popularity"].max()), 1.0)
        # Popularity is no score of the networks: what tops up always stands below what they chose.
        lowest = float(scores[-1]) if len(scores) else 1.0
        return np.concatenate((indices, more)), np.concatenate((scores, lowest - 1.0 + share)).astype(np.float32)
