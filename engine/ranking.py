"""Ranker: the second stage puts the candidates of the first in a better order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from engine.features import Candidates, candidate_features
from engine.item_vectors import ItemVectors
from engine.items import ItemTable
from engine.runtime import Network

Floats = npt.NDArray[np.float32]
HISTORY = 50


@dataclass(frozen=True, slots=True)
class Ranked:
    """scores [B,K], the higher the better; attention [B,K,H] on the newest H <= 50 events, if the ranker has any."""

    scores: Floats
    attention: Floats | None = None


class Ranker(Protocol):
    """Second stage."""

    def rank(self, candidates: Candidates) -> Ranked:
        """Score each candidate."""
        ...


class NetworkRanker:
    """A ranker that training exported: vectors and features (and the history, if it asks for it) -> scores."""

    def __init__(self, network: Network, features: Sequence[str], items: ItemTable, vectors: ItemVectors) -> None:
        self._network = network
        self._features = features
        self._items = items
        self._vectors = vectors

    def rank(self, candidates: Candidates) -> Ranked:
        """Score each candidate."""
        given = ranker_inputs(self._features, self._items, self._vectors, candidates)
        return Ranked(*self._network.run_all(**{name: given[name] for name in self._network.inputs}))


def ranker_inputs(
    features: Sequence[str], items: ItemTable, vectors: ItemVectors, candidates: Candidates
) -> dict[str, npt.NDArray[np.generic]]:
    """Return all that a ranker may read, by input name; of the history the newest 50 events."""
    rows = candidates.rows.cut(HISTORY, items.vocabulary.padding_index)
    real = rows.indices < len(items)
    history = np.where(real[..., None], vectors.outputs[np.where(real, rows.indices, 0)], 0.0)
    return {
        "user_vectors": candidates.user_vectors,
        "candidate_vectors": vectors.outputs[candidates.indices],
        "features": candidate_features(features, items, candidates),
        "history_vectors": history.astype(np.float32),
        "values": rows.values,
        "ages": rows.ages,
        "lengths": rows.lengths,
    }


def rerank(ranker: Ranker, candidates: Candidates) -> Candidates:
    """Return the candidates in the ranker's order, with its scores; places without a candidate come last."""
    scores = np.where(candidates.indices >= 0, ranker.rank(candidates).scores, -np.inf)
    order = np.argsort(-scores, axis=1, kind="stable")

    return replace(
        candidates,
        indices=np.take_along_axis(candidates.indices, order, axis=1),
        scores=np.take_along_axis(scores, order, axis=1),
        further={name: np.take_along_axis(each, order, axis=1) for name, each in candidates.further.items()},
        proposed={name: np.take_along_axis(each, order, axis=1) for name, each in candidates.proposed.items()},
    )
