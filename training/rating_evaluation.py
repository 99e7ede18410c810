"""RatingEvaluation: predicted ratings against held-out ones, through the served path."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from engine.events import RATING, History
from engine.ratings import RatingPredictor
from engine.vocabulary import Vocabulary
from training.interactions import histories_of
from training.rating_metrics import rating_metrics


@dataclass(frozen=True, slots=True)
class RatingEvaluation:
    """Users with their histories, and the items [K] that each has rated afterwards, with the ratings [K]."""

    histories: tuple[History, ...]
    indices: tuple[npt.NDArray[np.int64], ...]
    ratings: tuple[npt.NDArray[np.float64], ...]

    @classmethod
    def of(
        cls, known: pl.DataFrame, held_out: pl.DataFrame, vocabulary: Vocabulary, most: int | None = None, seed: int = 0
    ) -> RatingEvaluation:
        """Take the histories from `known` and the ratings from `held_out`; at most `most` users, drawn by the seed."""
        rated = rated_only(held_out).group_by("user_id").agg("item_id", "value").sort("user_id")
        if most is not None and len(rated) > most:
            rated = rated[np.sort(np.random.default_rng(seed).choice(len(rated), most, replace=False))]
        return cls(
            tuple(histories_of(known, rated["user_id"].to_list())),
            tuple(vocabulary.indices_of(items) for items in rated["item_id"].to_list()),
            tuple(np.array(values) for values in rated["value"].to_list()),
        )

    def __len__(self) -> int:
        return sum(len(each) for each in self.indices)

    def measure(self, predictor: RatingPredictor) -> dict[str, float]:
        """Return RMSE and MAE over all held-out ratings."""
        pairs = zip(self.histories, self.indices, strict=True)
        predicted = np.concatenate([predictor.predict(history, indices) for history, indices in pairs])
        return rating_metrics(predicted.astype(np.float64), np.concatenate(self.ratings))


def rated_only(events: pl.DataFrame) -> pl.DataFrame:
    """Return the events that carry a rating."""
    return events.filter((pl.col("kind") == RATING) & pl.col("value").is_not_null())
