"""NetworkCommittee: networks that learned from different items, each brought into one space, and their mean.

    f(x) = 1/K sum_k (A_k g_k(x) - c_k)

A_k leads from the space that network g_k was taught in to the common one, and c_k is what it says of everything. Each
network left out other items: what it says of those is of the same kind as what all of them say of new ones (Parmanto,
Munro & Doyle, "Improving Committee Diagnosis with Resampling Techniques", 1995).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class NetworkCommittee(nn.Module):
    """x -> [B,W]: the mean of K networks, by `turns` [K,W,W] and `centres` [K,W]."""

    turns: Tensor
    centres: Tensor

    def __init__(self, networks: Sequence[nn.Module], turns: Tensor, centres: Tensor) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.register_buffer("turns", turns)
        self.register_buffer("centres", centres)

    def member(self, number: int, x: Tensor) -> Tensor:
        """Return what one network says [B,W], in the common space."""
        said: Tensor = self.networks[number](x)
        return said @ self.turns[number].T - self.centres[number]

    def forward(self, x: Tensor) -> Tensor:
        """Return the mean of all."""
        return torch.stack([self.member(number, x) for number in range(len(self.networks))]).mean(dim=0)
