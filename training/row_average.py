"""RowAverage: the moving average of a table of which a step changes a few rows."""

from __future__ import annotations

import math

import torch
from torch import Tensor


class RowAverage:
    """Keeps mean [N,D] of `now` [N,D] as if every row were averaged at every step.

    A row that stays w while k steps decay by d_1..d_k has gone from m to w + (m - w) d_1...d_k, so it can wait until
    somebody changes or reads it.
    """

    def __init__(self, mean: Tensor, now: Tensor) -> None:
        self._mean, self._now = mean, now
        self._decayed = 0.0
        """Sum of the logarithms of all decays so far."""
        self._seen = torch.zeros(len(now), 1, dtype=torch.float64)
        """That sum when the row was averaged last."""

    @torch.no_grad()
    def catch_up(self, rows: Tensor) -> None:
        """Bring rows [R] up to all steps so far; to be called before their weights change."""
        left = (self._decayed - self._seen[rows]).exp().float()
        now = self._now[rows]
        self._mean[rows] = now + (self._mean[rows] - now) * left
        self._seen[rows] = self._decayed

    @torch.no_grad()
    def catch_up_all(self) -> None:
        """Bring every row up to all steps so far."""
        left = (self._decayed - self._seen).exp_().float()
        self._mean.sub_(self._now).mul_(left).add_(self._now)
        self._seen.fill_(self._decayed)

    def step(self, decay: float) -> None:
        """Count a step, taken after the weights have changed."""
        # A decay of nothing forgets all there was.
        self._decayed += math.log(max(decay, 1e-300))
