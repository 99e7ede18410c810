"""Ranker: the second stage puts the candidates of the first in a better order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from engine.features import Candidates, candidate_features
from engine.items import ItemTable
from engine.runtime import Network

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]


class Ranker(Protocol):
    """Second stage."""

    def scores(self, candidates: Candidates) -> Floats:
        """Return scores [B,K], the higher the better."""
        ...


class NetworkRanker:
    """A ranker that training exported: user vector, candidate vectors and features -> scores."""

    def __init__(self, network: Network, features: Sequence[str], items: ItemTable) -> None:
        self._network = network
        self._features = features
        self._items = items

    def scores(self, candidates: Candidates) -> Floats:
        """Return scores [B,K], the higher the better."""
        return self._network.run(
            user_vectors=candidates.user_vectors,
            candidate_vectors=self._items.output_vectors[candidates.indices],
            features=candidate_features(self._features, self._items, candidates),
        )


def rerank(ranker: Ranker, candidates: Candidates, depth: int) -> tuple[Indices, Floats]:
    """Return indices and scores [B,K] with the first `depth` candidates in the ranker's order.

    The others follow in their old order, their scores shifted below the reranked ones so that scores never rise.
    """
    head = Candidates(
        candidates.batch,
        candidates.user_vectors,
        candidates.indices[:, :depth],
        candidates.scores[:, :depth],
    )
    scores = np.where(head.indices >= 0, ranker.scores(head), -np.inf)
    order = np.argsort(-scores, axis=1, kind="stable")
    head_indices = np.take_along_axis(head.indices, order, axis=1)
    head_scores = np.take_along_axis(scores, order, axis=1)
    tail_scores = candidates.scores[:, depth:]
    if tail_scores.shape[1]:
        tail_scores = head_scores[:, -1:] + tail_scores - candidates.scores[:, depth - 1 : depth]
    return (
        np.concatenate((head_indices, candidates.indices[:, depth:]), axis=1),
        np.concatenate((head_scores, tail_scores), axis=1).astype(np.float32),
    )
