"""Pooling: a history as one vector, whatever its order.

A network that multiplies a user's row r of the rating matrix with a table X computes sum_j r_j x_j, so gathered vectors
are all it needs. Missing and low ratings must differ, so each dimension learns how much the presence of an event and
how much its value v count (* is element-wise):

    weighted_j = (p + s (2 v_j - 1)) * x_j;   EventPooling: sum_j weighted_j / n^a, a = 0, 1/2 or 1

p and s start at a half, where an event counts by its value: r X itself, and a multi-hot row where all values are 1.
Dividing by sqrt(n) is the l2 norm of a multi-hot row (Liang et al., "Variational Autoencoders for Collaborative
Filtering", 2018). AttentivePooling replaces 1/n by softmax_j(q . tanh(W weighted_j + b)) with a learned query q, as in
Mao et al., "SimpleX", 2021.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.attention_weights import attention_weights, real_events

POWERS = {"none": 0.0, "l2": 0.5, "mean": 1.0}


class EventPooling(nn.Module):
    """vectors [B,L,D] (zeros at padding), values [B,L], lengths [B] -> [B,D]."""

    def __init__(self, width: int, normalise: str) -> None:
        super().__init__()
        if normalise not in POWERS:
            raise ValueError(f"normalise is {normalise!r}; it must be one of {', '.join(POWERS)}")
        self.power = POWERS[normalise]
        self.gains = nn.Parameter(torch.full((2, width), 0.5))

    def forward(self, vectors: Tensor, values: Tensor, lengths: Tensor) -> Tensor:
        """Return one vector a history."""
        signals = torch.stack((torch.ones_like(values), 2.0 * values - 1.0), dim=1)
        pooled = ((signals @ vectors) * self.gains).sum(dim=1)
        return pooled / lengths.clamp(min=1).to(pooled.dtype)[:, None] ** self.power


class AttentivePooling(nn.Module):
    """vectors [B,L,D], values [B,L], lengths [B] -> [B,D]; the query starts at zero, where this is the mean."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gains = nn.Parameter(torch.full((2, width), 0.5))
        self.key = nn.Linear(width, width)
        self.query = nn.Parameter(torch.zeros(width))

    def forward(self, vectors: Tensor, values: Tensor, lengths: Tensor) -> Tensor:
        """Return one vector a history."""
        weighted = (self.gains[0] + (2.0 * values - 1.0)[..., None] * self.gains[1]) * vectors
        logits = self.key(weighted).tanh() @ self.query
        weights = attention_weights(logits, real_events(values, lengths))
        return (weights[:, None] @ weighted)[:, 0]
