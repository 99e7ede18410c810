"""Landmarks: rows become numbers whose products say how near two rows are, exp(-g |x - y|^2).

    features = k(x) L^-T;   k(x)_m = exp(-g |x - c_m|^2);   L L^T = K + e I, K being k of the landmarks c themselves

What is linear in them is a smooth curve in the rows (Williams & Seeger, "Using the Nystroem Method to Speed Up Kernel
Machines", 2001).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

SHARPNESS = 0.3
JITTER = 1e-3


class Landmarks(nn.Module):
    """rows [B,F] -> [B,M], of about length 1."""

    centres: Tensor
    root: Tensor

    def __init__(self, size: int, count: int) -> None:
        super().__init__()
        self.register_buffer("centres", torch.zeros(count, size))
        self.register_buffer("root", torch.eye(count))

    def place(self, rows: Tensor) -> None:
        """Take M of many rows [N,F] as landmarks, always the same."""
        count = len(self.centres)
        self.centres.copy_(rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))[:count]])
        itself = self.near(self.centres).double() + JITTER * torch.eye(count, dtype=torch.float64)
        lower = torch.linalg.cholesky(itself)
        identity = torch.eye(count, dtype=torch.float64)
        self.root.copy_(torch.linalg.solve_triangular(lower, identity, upper=False).T)

    def forward(self, rows: Tensor) -> Tensor:
        """Return where the rows are among the landmarks."""
        return self.near(rows) @ self.root

    def near(self, rows: Tensor) -> Tensor:
        """Return how near each landmark is [B,M], 0..1."""
        lengths = rows.square().sum(dim=1, keepdim=True) + self.centres.square().sum(dim=1)
        return torch.exp(-SHARPNESS * (lengths - 2 * rows @ self.centres.T).clamp(min=0))
