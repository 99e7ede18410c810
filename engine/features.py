"""Candidate features: the numbers a ranker reads beside the vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.errors import BundleError
from engine.items import ItemTable
from engine.window import HistoryBatch

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Candidates:
    """What retrieval returned for B histories: indices [B,K] (-1 where fewer were found) and their scores [B,K].

    batch and user_vectors [B,E] are what retrieval itself was computed from.
    """

    batch: HistoryBatch
    user_vectors: Floats
    indices: Indices
    scores: Floats


def retrieval_score(_items: ItemTable, candidates: Candidates) -> Floats:
    """Return how far the first stage's score is below its best candidate's (<= 0)."""
    return candidates.scores - candidates.scores[:, :1]


def retrieval_rank(_items: ItemTable, candidates: Candidates) -> Floats:
    """Return log(1 + place in the first stage's order, from 0)."""
    places = np.log1p(np.arange(candidates.scores.shape[1], dtype=np.float32))
    return np.broadcast_to(places, candidates.scores.shape)


def popularity(items: ItemTable, candidates: Candidates) -> Floats:
    """Return log(1 + number of training events of the item)."""
    return np.log1p(items.columns["popularity"])[candidates.indices]


def recency(items: ItemTable, candidates: Candidates) -> Floats:
    """Return log(1 + days between the item's last training event and the last of all)."""
    return np.log1p(items.columns["staleness"])[candidates.indices]


def linked(table: str, newest: int | None = None) -> Callable[[ItemTable, Candidates], Floats]:
    """Return the feature: summed weight from the window's (newest) events to the candidate, in a neighbour table."""

    def feature(items: ItemTable, candidates: Candidates) -> Floats:
        history = candidates.batch.newest(newest, items.vocabulary.padding_index)
        return items.neighbours[table].scores(history, candidates.indices)

    return feature


FEATURES: dict[str, Callable[[ItemTable, Candidates], Floats]] = {
    "retrieval_score": retrieval_score,
    "retrieval_rank": retrieval_rank,
    "popularity": popularity,
    "recency": recency,
    "ease": linked("ease"),
    "ease_10": linked("ease", newest=10),
    "cooccurrence_10": linked("cooccurrence", newest=10),
    "cooccurrence_3": linked("cooccurrence", newest=3),
}


def tables_of(names: Sequence[str]) -> set[str]:
    """Return the names of the neighbour tables that the features read."""
    return {name.split("_")[0] for name in names} & {"ease", "cooccurrence"}


def candidate_features(names: Sequence[str], items: ItemTable, candidates: Candidates) -> Floats:
    """Return the named features as [B,K,F], zero where there is no candidate; BundleError for an unknown name."""
    if unknown := [name for name in names if name not in FEATURES]:
        raise BundleError(f"the ranker wants unknown features {unknown}; known: {sorted(FEATURES)}; train again")
    columns = [FEATURES[name](items, candidates) for name in names]
    return np.where((candidates.indices >= 0)[..., None], np.stack(columns, axis=-1), 0.0).astype(np.float32)
