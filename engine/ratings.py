"""RatingPredictor: how a user would rate an item, from the live history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from engine.encoder import Encoder
from engine.events import RATING, History
from engine.item_vectors import ItemVectors
from engine.items import ItemTable
from engine.runtime import Network
from engine.window import HistoryWindow

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
BIAS_COLUMN = "rating_bias"
REFINER_FEATURES = ("prediction", "popularity", "rating_bias", "history_length", "mean_rating", "rating_spread")


class RatingPredictor(Protocol):
    """Predicts ratings for any history, also an empty one."""

    def predict(self, history: History, item_indices: Indices) -> Floats:
        """Return predicted ratings in the units of the data, within its scale; [K] indices (-1: unknown) -> [K]."""
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

    def predict(self, history: History, item_indices: Indices) -> Floats:
        """Return predicted ratings; an unknown item has the bias 0."""
        predicted = self._mean + self._user_bias(history) + self._item_biases(item_indices)
        clipped: Floats = np.clip(predicted, *self._scale).astype(np.float32)
        return clipped

    def _item_biases(self, indices: Indices) -> Floats:
        biases = self._items.column(BIAS_COLUMN, np.maximum(indices, 0))
        known: Floats = (biases * (indices >= 0)).astype(np.float32)
        return known

    def _user_bias(self, history: History) -> float:
        rated = [(event.item_id, event.value) for event in rated_events(history).events if event.value is not None]
        if not rated:
            return 0.0
        indices = self._items.vocabulary.indices_of(item_id for item_id, _ in rated)
        ratings = np.array([value for _, value in rated])
        residuals = ratings - self._mean - self._item_biases(indices)
        return float(residuals.sum() / (self._shrinkage + len(rated)))


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

    def predict(self, history: History, item_indices: Indices) -> Floats:
        """Return predicted ratings."""
        fallback = self._biases.predict(history, item_indices)
        pairs = self.pairs(history, item_indices)
        if pairs is None:
            return fallback
        values = pairs.features[:, 0] if self._refiner is None else self._refiner.refine(pairs)
        low, high = self._window.rating_scale
        predicted = np.clip(low + (high - low) * values, low, high)
        return np.where(self._vectors.knows(item_indices), predicted, fallback).astype(np.float32)

    def pairs(self, history: History, item_indices: Indices) -> RatingPairs | None:
        """Return what a refiner reads; None if the history has no rating of a known item."""
        columns = self._window.columns([rated_events(history)], self._items)
        columns = columns.kept(self._vectors.knows(columns.item_index))
        if not len(columns.item_index):
            return None
        rows = self._window.newest(columns, self._items.vocabulary.padding_index)
        user_vector = self._encoder.encode(self._vectors.batch(rows))[0]
        item_vectors = self._vectors.outputs_of(np.maximum(item_indices, 0))
        first = item_vectors @ user_vector
        user = (np.log1p(len(columns.value)), columns.value.mean(), columns.value.std())
        popularity = np.log1p(self._items.column("popularity", item_indices))
        biases = self._items.column(BIAS_COLUMN, item_indices)
        features = np.stack((first, popularity, biases, *np.broadcast_arrays(*user, first)[:-1]), axis=1)
        return RatingPairs(user_vector, item_vectors, features.astype(np.float32))


def rated_events(history: History) -> History:
    """Return the history without the events that carry no rating."""
    return History(tuple(event for event in history.events if event.kind == RATING and event.value is not None))
