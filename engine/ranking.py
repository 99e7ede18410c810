"""Ranker: the second stage puts the candidates of the first in a better order."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from engine.errors import NetworkError
from engine.features import Candidates, candidate_features
from engine.item_vectors import ItemVectors
from engine.items import ItemTable
from engine.runtime import Network
from engine.window import IndexBatch

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
Inputs = dict[str, npt.NDArray[np.generic]]
Number = TypeVar("Number", bound=np.generic)
HISTORY = 50
READS_HISTORY = "history_vectors"


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
        return self.run(self.inputs(candidates))

    def inputs(self, candidates: Candidates, places: Indices | None = None) -> Inputs:
        """Return what the network reads of the candidates, or of those at some places [B,n] of the rows alone."""
        return ranker_inputs(self._network.inputs, self._features, self._items, self._vectors, candidates, places)

    def run(self, given: Inputs) -> Ranked:
        """Score what `inputs` returned."""
        return Ranked(*self._network.run_all(**given))


def ranker_inputs(
    names: Collection[str],
    features: Sequence[str],
    items: ItemTable,
    vectors: ItemVectors,
    candidates: Candidates,
    places: Indices | None = None,
) -> Inputs:
    """Return what a ranker reads, by the `names` of its inputs; of the history the newest 50 events.

    places: if given, what it reads of the candidates at these places [B,n]; features still compare them with all.
    """
    rows = candidates.rows
    if READS_HISTORY in names:
        rows = vectors.known(rows).cut(HISTORY, items.vocabulary.padding_index)
    made: dict[str, Callable[[], npt.NDArray[np.generic]]] = {
        "user_vectors": lambda: candidates.user_vectors,
        "candidate_vectors": lambda: vectors.outputs_of(_at(candidates.indices, places)),
        "features": lambda: _at(candidate_features(features, items, candidates), places),
        READS_HISTORY: lambda: _history_vectors(rows, items, vectors),
        "values": lambda: rows.values,
        "ages": lambda: rows.ages,
        "lengths": lambda: rows.lengths,
    }
    if unknown := sorted(set(names) - made.keys()):
        raise NetworkError(f"a ranker cannot be given {unknown}; there are {sorted(made)}")
    return {name: made[name]() for name in names}


def scores_at(ranker: Ranker, candidates: Candidates, places: Indices) -> Floats:
    """Return the scores [B,n] of the candidates at some places [B,n] of the rows."""
    if isinstance(ranker, NetworkRanker):
        return ranker.run(ranker.inputs(candidates, places)).scores
    return _at(ranker.rank(candidates).scores, places)


def _at(array: npt.NDArray[Number], places: Indices | None) -> npt.NDArray[Number]:
    """Return some places [B,n] of the second dimension."""
    if places is None:
        return array
    return np.take_along_axis(array, places.reshape(*places.shape, *[1] * (array.ndim - 2)), axis=1)


def _history_vectors(rows: IndexBatch, items: ItemTable, vectors: ItemVectors) -> Floats:
    real = rows.indices != items.vocabulary.padding_index
    history = np.where(real[..., None], vectors.outputs_of(np.where(real, rows.indices, 0)), 0.0)
    return history.astype(np.float32)


def rerank(ranker: Ranker, candidates: Candidates) -> Candidates:
    """Return the candidates in the ranker's order, with its scores; places without a candidate come last."""
    scores = np.where(candidates.indices >= 0, ranker.rank(candidates).scores, -np.inf)
    return candidates.reordered((-scores).argsort(axis=1, kind="stable"), scores)
