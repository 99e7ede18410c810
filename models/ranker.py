"""RankerNetwork: what every second-stage network is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

SMALLEST_SCALE = 1e-3


class RankerNetwork(nn.Module, ABC):
    """A network that scores candidates: user_vectors [B,E], candidate_vectors [B,K,E], features [B,K,F] -> [B,K].

    One that reads the history takes four more inputs: history_vectors [B,L,E] (output vectors of the history's items,
    zeros at padding), values [B,L], ages [B,L], lengths [B]; and returns its attention [B,K,L] beside the scores.

    The first feature must be the retrieval score: a network starts out as the first stage's order and learns what to
    change. `center` and `scale` [F] standardise the features and are part of the network.
    """

    reads_history: ClassVar[bool] = False
    """Whether the network takes the history and returns attention."""
    center: Tensor
    scale: Tensor

    def __init__(self, width: int, features: int, hidden: int, dropout: float) -> None:
        super().__init__()
        if min(width, features) < 1:
            raise ValueError(f"width {width} and the number of features {features} must be at least 1")
        if hidden < 2 or not 0 <= dropout < 1:
            raise ValueError(f"hidden {hidden} must be at least 2, and dropout {dropout} at least 0 and below 1")
        self.register_buffer("center", torch.zeros(features))
        self.register_buffer("scale", torch.ones(features))

    @abstractmethod
    def forward(self, *inputs: Any) -> Any:  # noqa: ANN401
        """Return scores [B,K], and attention [B,K,L] if the network reads the history."""

    def standardise(self, center: Tensor, scale: Tensor) -> None:
        """Set the mean and the deviation [F] that features have in training."""
        self.center.copy_(center)
        # What never varied has no scale of its own.
        self.scale.copy_(torch.where(scale < SMALLEST_SCALE, 1.0, scale))

    def standardised(self, features: Tensor) -> Tensor:
        """Return features [B,K,F] with the mean 0 and the deviation 1 that they have in training."""
        return (features - self.center) / self.scale
