"""Candidate features: the numbers a ranker reads beside the vectors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from engine.errors import BundleError
from engine.items import ItemTable
from engine.neighbours import Links, Sought
from engine.window import IndexBatch

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Candidates:
    """What the sources propose for B histories: indices [B,K] (-1 where fewer were found), the first source's order.

    scores [B,K] and user_vectors [B,E] are the first source's; further: the score [B,K] of each further source;
    proposed: which candidates [B,K] each source proposed itself; rows: the histories they were computed from.
    """

    rows: IndexBatch
    user_vectors: Floats
    indices: Indices
    scores: Floats
    further: Mapping[str, Floats] = field(default_factory=dict)
    proposed: Mapping[str, npt.NDArray[np.bool_]] = field(default_factory=dict)

    def cut(self, count: int) -> Candidates:
        """Return the first `count` candidates of each history, without copying any."""
        if self.indices.shape[1] <= count:
            return self
        return Candidates(
            self.rows,
            self.user_vectors,
            self.indices[:, :count],
            self.scores[:, :count],
            {name: each[:, :count] for name, each in self.further.items()},
            {name: each[:, :count] for name, each in self.proposed.items()},
        )

    def of(self, row: int) -> Candidates:
        """Return the candidates of one history, as a batch of one."""
        one = np.array([row])
        return Candidates(
            self.rows.only(one),
            self.user_vectors[one],
            self.indices[one],
            self.scores[one],
            {name: each[one] for name, each in self.further.items()},
            {name: each[one] for name, each in self.proposed.items()},
        )

    def reordered(self, order: Indices, scores: Floats) -> Candidates:
        """Return the candidates at the places `order` [B,K] of each history, with these scores [B,K] put in order."""
        rows = np.arange(len(order))[:, None]
        return Candidates(
            self.rows,
            self.user_vectors,
            self.indices[rows, order],
            scores[rows, order],
            {name: each[rows, order] for name, each in self.further.items()},
            {name: each[rows, order] for name, each in self.proposed.items()},
        )


class FeatureInputs:
    """What features are computed from; of one history, a neighbour table is looked at once for all of them."""

    def __init__(self, items: ItemTable, candidates: Candidates) -> None:
        self.items = items
        self.candidates = candidates
        self._links: dict[str, Links] = {}

    def links(self, table: str) -> Links:
        """Return the links of the only history to its candidates."""
        if table not in self._links:
            history = self.candidates.rows.indices[0]
            self._links[table] = self.items.neighbours[table].links(history, self._sought)
        return self._links[table]

    @cached_property
    def _sought(self) -> Sought:
        return Sought(self.candidates.indices[0])


Feature = Callable[[FeatureInputs], Floats]


def retrieval_score(given: FeatureInputs) -> Floats:
    """Return how far the first source's score is below its best candidate's (<= 0)."""
    return below_best(given.candidates.scores, given.candidates.indices)


def retrieval_rank(given: FeatureInputs) -> Floats:
    """Return log(1 + place in the first source's order, from 0)."""
    return np.log1p(np.arange(given.candidates.scores.shape[1], dtype=np.float32))[None]


def history_length(given: FeatureInputs) -> Floats:
    """Return log(1 + number of events in the window), the same for all candidates."""
    return np.log1p(given.candidates.rows.lengths.astype(np.float32))[:, None]


def popularity(given: FeatureInputs) -> Floats:
    """Return log(1 + number of training events of the item)."""
    return np.log1p(given.items.column("popularity", given.candidates.indices))


def is_new(given: FeatureInputs) -> Floats:
    """Return 1 for an item that no training event knows, 0 for others."""
    return np.asarray(given.items.column("popularity", given.candidates.indices) == 0, dtype=np.float32)


def recency(given: FeatureInputs) -> Floats:
    """Return log(1 + days between the item's last training event and the last of all)."""
    return np.log1p(given.items.column("staleness", given.candidates.indices))


def linked(table: str, newest: int | None = None) -> Feature:
    """Return the feature: summed weight from the window's (newest) events to the candidate, in a neighbour table."""

    def feature(given: FeatureInputs) -> Floats:
        candidates = given.candidates
        if len(candidates.indices) > 1:
            history = candidates.rows.newest(newest, given.items.vocabulary.padding_index)
            return given.items.neighbours[table].scores(history, candidates.indices)
        since = 0 if newest is None else max(int(candidates.rows.lengths[0]) - newest, 0)
        return given.links(table).sums(since)[None]

    return feature


def source_score(name: str) -> Feature:
    """Return the feature: how far the candidate's score in a further source is below the best one (<= 0)."""
    return lambda given: below_best(given.candidates.further[name], given.candidates.indices)


def source_rank(name: str) -> Feature:
    """Return the feature: log(1 + the candidate's place among all candidates in the order of a further source)."""

    def feature(given: FeatureInputs) -> Floats:
        candidates = given.candidates
        order = np.argsort(-below_best(candidates.further[name], candidates.indices), axis=1, kind="stable")
        places = np.empty(order.shape, dtype=np.float32)
        np.put_along_axis(places, order, np.arange(order.shape[1], dtype=np.float32)[None], axis=1)
        return np.log1p(places)

    return feature


def below_best(scores: Floats, indices: Indices) -> Floats:
    """Return scores minus the best of each row; -inf where there is no candidate."""
    real = np.where(indices >= 0, scores, -np.inf)
    best = real.max(axis=1, keepdims=True, initial=-np.inf)
    best[~np.isfinite(best)] = 0.0
    below: Floats = real - best
    return below


IS_NEW = "is_new"
TABLES = ("ease", "cooccurrence", "item_knn")
FEATURES: dict[str, Feature] = {
    "retrieval_score": retrieval_score,
    "retrieval_rank": retrieval_rank,
    "history_length": history_length,
    "popularity": popularity,
    "recency": recency,
    IS_NEW: is_new,
    "ease": linked("ease"),
    "ease_10": linked("ease", newest=10),
    "cooccurrence_10": linked("cooccurrence", newest=10),
    "cooccurrence_3": linked("cooccurrence", newest=3),
    "item_knn": linked("item_knn"),
    "item_knn_10": linked("item_knn", newest=10),
}


def tables_of(names: Sequence[str]) -> set[str]:
    """Return the names of the neighbour tables that the features read."""
    return {table for name in names for table in TABLES if name.removesuffix("_10").removesuffix("_3") == table}


def source_features(name: str) -> dict[str, Feature]:
    """Return the features that a further source adds, by name."""
    return {f"{name}_score": source_score(name), f"{name}_rank": source_rank(name)}


def candidate_features(names: Sequence[str], items: ItemTable, candidates: Candidates) -> Floats:
    """Return the named features as [B,K,F], zero where there is no candidate; BundleError for an unknown name."""
    known = FEATURES | {key: value for name in candidates.further for key, value in source_features(name).items()}
    if unknown := [name for name in names if name not in known]:
        raise BundleError(f"the ranker wants unknown features {unknown}; known: {sorted(known)}; train again")
    given, shape = FeatureInputs(items, candidates), (*candidates.indices.shape, len(names))
    features = np.empty(shape, dtype=np.float32)
    for place, name in enumerate(names):
        features[..., place] = known[name](given)
    features[candidates.indices < 0] = 0.0
    return features
