"""attention_weights: softmax over the real events of a history."""

from __future__ import annotations

import torch
from torch import Tensor


def real_events(values: Tensor, lengths: Tensor) -> Tensor:
    """Return which places of `values` [B,L] hold an event [B,L]."""
    return torch.arange(values.shape[1], device=values.device) < lengths[:, None]


def attention_weights(logits: Tensor, real: Tensor) -> Tensor:
    """Return weights that sum to 1 over the real places of the last dimension; all 0 where none is real."""
    # The lowest finite number, for a row of -inf alone would become NaN.
    weights = logits.masked_fill(~real, torch.finfo(logits.dtype).min).softmax(dim=-1)
    return weights.masked_fill(~real, 0.0)
