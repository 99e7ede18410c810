"""Metrics of predicted ratings."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Ratings = npt.NDArray[np.floating[Any]]


def rating_metrics(predicted: Ratings, true: Ratings) -> dict[str, float]:
    """Return RMSE and MAE of [R] predictions of [R] ratings, both at least 0, in the units of the ratings.

    Raises ValueError if there are none, if the shapes differ or if a number is not finite.
    """
    if predicted.shape != true.shape or not len(true):
        raise ValueError(f"{predicted.shape} predictions of {true.shape} ratings; give one for each, and at least one")
    errors = predicted.astype(np.float64) - true
    if not np.isfinite(errors).all():
        raise ValueError(f"{(~np.isfinite(errors)).sum()} pairs have a number that is not finite; leave them out")
    return {"RMSE": float(np.sqrt((errors**2).mean())), "MAE": float(np.abs(errors).mean())}
