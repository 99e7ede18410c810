"""RatingPredictor: how a user would rate an item, from the live history."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import compress
from typing import Protocol

import numpy as np
import numpy.typing as npt

from engine.encoder import Encoder
from engine.events import RATING, History
from engine.item_vectors import ItemVectors
from engine.items import ItemTable
from engine.runtime import Network
from engine.window import HistoryColumns, HistoryWindow

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
BIAS_COLUMN = "rating_bias"
REFINER_FEATURES = ("prediction", "popularity", "rating_bias", "history_length", "mean_rating", "rating_spread")


class RatingPredictor(Protocol):
    """Predicts ratings for any history, also an empty one."""

    def predict(self, history: History, item_indices: Indices, found: Indices | None = None) -> Floats:
        """Return predicted ratings in the units of the data, within its scale; [K] indices (-1: unknown) -> [K].

        found: the indices [E] of the items of all events, where they have been looked up already.
        """
        ...


class BiasRatings:
    """mean + item bias + user bias, clipped to the scale (the baseline estimate of Koren 2009, section 2.1).

    The user bias is folded in from the history at request time and shrunk towards zero by `shrinkage` ratings, so new
    users and fresh ratings count at once. An item without a rating has the bias 0.
    """

    def __init__(self, items: ItemTable, mean: float, scale: tuple[float, float], shrinkage: float) -> None:
        self._items = items
        self._mean = mean
        self._scale = scale
        self._shrinkage = shrinkage

    def predict(self, history: History, item_indices: Indices, found: Indices | None = None) -> Floats:
        """Return predicted ratings; an unknown item has the bias 0."""
        predicted = self._mean + self._user_bias(history, found) + self._item_biases(item_indices)
        clipped: Floats = np.clip(predicted, *self._scale).astype(np.float32)
        return clipped

    def _item_biases(self, indices: Indices) -> Floats:
        biases = self._items.column(BIAS_COLUMN, np.maximum(indices, 0))
        known: Floats = (biases * (indices >= 0)).astype(np.float32)
        return known

    def _user_bias(self, history: History, found: Indices | None) -> float:
        rated, indices = rated_events(history, self._items, found)
        ratings = np.array([event.value for event in rated.events], dtype=np.float64)
        residuals = ratings - self._mean - self._item_biases(indices)
        return float(residuals.sum() / (self._shrinkage + len(ratings))) if len(ratings) else 0.0


class Refiner(Protocol):
    """A second stage for ratings."""

    def refine(self, pairs: RatingPairs) -> Floats:
        """Return better values in 0..1 [K]."""
        ...


@dataclass(frozen=True, slots=True)
class RatingPairs:
    """One user and K items: user_vector [E], item_vectors [K,E], features [K,F], the first of them the prediction."""

    user_vector: Floats
    item_vectors: Floats
    features: Floats


class NetworkRefiner:
    """A refiner that training exported."""

    def __init__(self, network: Network) -> None:
        self._network = network

    def refine(self, pairs: RatingPairs) -> Floats:
        """Return better values in 0..1 [K]."""
        arrays = (pairs.user_vector, pairs.item_vectors, pairs.features)
        names = ("user_vectors", "candidate_vectors", "features")
        refined: Floats = self._network.run(**{name: array[None] for name, array in zip(names, arrays, strict=True)})[0]
        return refined


class NetworkRatings:
    """user vector . item vector, moved to the scale, where the network learned ratings by their squared error.

    Where there is nothing to compute from (no rating of a known item in the history, or an unknown or live item) the
    biases answer. A refiner, if there is one, has the last word on the others.
    """

    def __init__(
        self,
        items: ItemTable,
        window: HistoryWindow,
        vectors: ItemVectors,
        encoder: Encoder,
        biases: BiasRatings,
        refiner: Refiner | None = None,
    ) -> None:
        self._items = items
        self._window = window
        self._vectors = vectors
        self._encoder = encoder
        self._biases = biases
        self._refiner = refiner

    def predict(self, history: History, item_indices: Indices, found: Indices | None = None) -> Floats:
        """Return predicted ratings."""
        columns = self._rated(history, found)
        if not len(columns.item_index):
            return self._biases.predict(history, item_indices, found)
        user_vector, item_vectors = self._vectors_of(columns, item_indices)
        values = item_vectors @ user_vector
        if self._refiner is not None:
            values = self._refiner.refine(self._pairs(columns, user_vector, item_vectors, item_indices))
        low, high = self._window.rating_scale
        predicted: Floats = (low + (high - low) * values).clip(low, high).astype(np.float32)
        known = self._vectors.knows(item_indices)
        if known.all():
            return predicted
        return np.where(known, predicted, self._biases.predict(history, item_indices, found))

    def pairs(self, history: History, item_indices: Indices) -> RatingPairs | None:
        """Return what a refiner reads; None if the history has no rating of a known item."""
        columns = self._rated(history, None)
        if not len(columns.item_index):
            return None
        return self._pairs(columns, *self._vectors_of(columns, item_indices), item_indices)

    def _rated(self, history: History, found: Indices | None) -> HistoryColumns:
        rated, found = rated_events(history, self._items, found)
        columns = self._window.columns([rated], self._items, found)
        return columns.kept(self._vectors.knows(columns.item_index))

    def _vectors_of(self, columns: HistoryColumns, item_indices: Indices) -> tuple[Floats, Floats]:
        """Return the user vector [E] and the item vectors [K,E]."""
        rows = self._window.newest(columns, self._items.vocabulary.padding_index)
        user_vector = self._encoder.encode(self._vectors.batch(rows))[0]
        return user_vector, self._vectors.outputs_of(np.maximum(item_indices, 0))

    def _pairs(
        self, columns: HistoryColumns, user_vector: Floats, item_vectors: Floats, item_indices: Indices
    ) -> RatingPairs:
        first = item_vectors @ user_vector
        user = (np.log1p(len(columns.value)), columns.value.mean(), columns.value.std())
        popularity = np.log1p(self._items.column("popularity", item_indices))
        biases = self._items.column(BIAS_COLUMN, item_indices)
        features = np.stack((first, popularity, biases, *np.broadcast_arrays(*user, first)[:-1]), axis=1)
        return RatingPairs(user_vector, item_vectors, features.astype(np.float32))


def rated_events(history: History, items: ItemTable, found: Indices | None) -> tuple[History, Indices]:
    """Return the history without the events that carry no rating, and the indices [E] of its items.

    found: those of all its events, where they have been looked up already.
    """
    if found is None:
        found = items.vocabulary.indices_of(event.item_id for event in history.events)
    is_rated = [event.kind == RATING and event.value is not None for event in history.events]
    if all(is_rated):
        return history, found
    return History(tuple(compress(history.events, is_rated))), found[is_rated]
