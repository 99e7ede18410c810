"""EventEmbedding: what a sequence encoder reads of each event.

x_t = sqrt(D) e_item + W_v [v, v^2] + W_g [gap > 0, log(1 + gap)]

with the value v moved to -2..2 and the gap to the event before in seconds. The factor sqrt(D), as in Vaswani et al.,
"Attention Is All You Need", 2017, brings item vectors that are small at first to the size of the two projections.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

SECONDS_PER_DAY = 86_400.0


class EventEmbedding(nn.Module):
    """Joins the item's vector with the value and the time since the event before."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.value_projection = nn.Linear(2, width)
        self.gap_projection = nn.Linear(2, width)

    def forward(self, vectors: Tensor, values: Tensor, ages: Tensor) -> Tensor:
        """Map item vectors [B,L,D], values [B,L] and ages [B,L] to [B,L,D]; each row from events up to it only."""
        centred = 4.0 * values - 2.0
        # The gap to the event before is known when an event happens; its age is not, so only gaps keep the net causal.
        gaps = functional.pad(ages[:, :-1] - ages[:, 1:], (1, 0)).clamp(min=0) * SECONDS_PER_DAY
        known = (centred, centred.square() - 1.0, (gaps > 0).to(gaps.dtype), torch.log1p(gaps) / 10.0)
        value, gap = self.value_projection, self.gap_projection
        # One product for both projections: each pass over [B,L,D] counts.
        weight = torch.cat((value.weight, gap.weight), dim=1)
        projected = functional.linear(torch.stack(known, dim=-1), weight, value.bias + gap.bias)
        embedded: Tensor = torch.add(projected, vectors, alpha=math.sqrt(vectors.shape[-1]))
        return embedded
