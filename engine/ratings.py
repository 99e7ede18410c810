"""RatingPredictor: how a user would rate an item, from the live history."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.events import RATING, History
from engine.items import ItemTable

Floats = npt.NDArray[np.float32]
BIAS_COLUMN = "rating_bias"


class RatingPredictor:
    """mean + item bias + user bias, clipped to the scale (the baseline estimate of Koren 2009, section 2.1).

    The user bias is folded in from the history at request time and shrunk towards zero by `shrinkage` ratings, so new
    users and fresh ratings count at once. An item without a rating has the bias 0.
    """

    def __init__(self, items: ItemTable, mean: float, scale: tuple[float, float], shrinkage: float) -> None:
        self._items = items
        self._mean = mean
        self._scale = scale
        self._shrinkage = shrinkage

    def predict(self, history: History, item_indices: npt.NDArray[np.int64]) -> Floats:
        """Return predicted ratings in the units of the data; [K] indices -> [K]. UNKNOWN (-1) gets the bias 0."""
        predicted = self._mean + self._user_bias(history) + self._item_biases(item_indices)
        low, high = self._scale
        clipped: Floats = np.clip(predicted, low, high).astype(np.float32)
        return clipped

    def _item_biases(self, indices: npt.NDArray[np.int64]) -> Floats:
        biases = self._items.columns[BIAS_COLUMN]
        known: Floats = (biases[np.maximum(indices, 0)] * (indices >= 0)).astype(np.float32)
        return known

    def _user_bias(self, history: History) -> float:
        rated = [
            (event.item_id, event.value) for event in history.events if event.kind == RATING and event.value is not None
        ]
        if not rated:
            return 0.0
        indices = self._items.vocabulary.indices_of(item_id for item_id, _ in rated)
        ratings = np.array([value for _, value in rated])
        residuals = ratings - self._mean - self._item_biases(indices)
        return float(residuals.sum() / (self._shrinkage + len(rated)))
