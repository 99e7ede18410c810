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
    """Return the first stage's score."""
    return candidates.scores


def popularity(items: ItemTable, candidates: Candidates) -> Floats:
    """Return log(1 + number of training events of the item)."""
    return np.log1p(items.columns["popularity"])[candidates.indices]


def recency(items: ItemTable, candidates: Candidates) -> Floats:
    """Return log(1 + days between the item's last training event and the last of all)."""
    return np.log1p(items.columns["staleness"])[candidates.indices]


FEATURES: dict[str, Callable[[ItemTable, Candidates], Floats]] = {
    "retrieval_score": retrieval_score,
    "popularity": popularity,
    "recency": recency,
}


def candidate_features(names: Sequence[str], items: ItemTable, candidates: Candidates) -> Floats:
    """Return the named features as [B,K,F], zero where there is no candidate; BundleError for an unknown name."""
    if unknown := [name for name in names if name not in FEATURES]:
        raise BundleError(f"the ranker wants unknown features {unknown}; known: {sorted(FEATURES)}; train again")
    columns = [FEATURES[name](items, candidates) for name in names]
    return np.where((candidates.indices >= 0)[..., None], np.stack(columns, axis=-1), 0.0).astype(np.float32)
