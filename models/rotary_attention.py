"""Attention of several heads with rotary positions (Su et al., "RoFormer", 2021), all of it on rows [B,L,D].

An exported network names the ONNX operators of it: what the exporter makes of the same in torch costs twice as much.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

HIDDEN = -60.0
"""What is added to the logit of a hidden event: e^-60 is nothing beside 1, but no number so small that processors take
a hundred times as long for it, as for what minus infinity leaves in the vectorised exponential."""


class Turn(NamedTuple):
    """Turns each pair of a head's dimensions by an angle that grows with the position.

    cosine, sine: tables [L,D/heads/2]; positions [B,L], or [1,L] for the same in all rows.
    """

    cosine: Tensor
    sine: Tensor
    positions: Tensor

    def __call__(self, x: Tensor, heads: int) -> Tensor:
        """Turn [B,L,D]."""
        if torch.onnx.is_in_onnx_export():  # type: ignore[no-untyped-call, unused-ignore]
            return torch.onnx.ops.rotary_embedding(x, self.cosine, self.sine, self.positions, num_heads=heads)
        cosine, sine = self.cosine[self.positions][:, :, None], self.sine[self.positions][:, :, None]
        left, right = x.reshape(*x.shape[:2], heads, 2, -1).unbind(-2)
        return torch.stack((left * cosine - right * sine, left * sine + right * cosine), dim=-2).flatten(2)

    def at(self, positions: Tensor) -> Turn:
        """Return the same for other positions [B,K]."""
        return self._replace(positions=positions)


def attend(query: Tensor, key: Tensor, value: Tensor, heads: int, mask: Tensor | None = None) -> Tensor:
    """Return what queries [B,K,D] get of keys and values [B,L,D] as [B,K,D].

    mask: which of the keys each query sees, or what is added to the logits; without it queries see no later key.
    """
    if torch.onnx.is_in_onnx_export():  # type: ignore[no-untyped-call, unused-ignore]
        return torch.onnx.ops.attention(
            query, key, value, mask, is_causal=mask is None, q_num_heads=heads, kv_num_heads=heads
        )[0]
    query, key, value = (each.reshape(*each.shape[:2], heads, -1).transpose(1, 2) for each in (query, key, value))
    attended = functional.scaled_dot_product_attention(query, key, value, mask, is_causal=mask is None)
    return attended.transpose(1, 2).flatten(2)


def without_future(x: Tensor) -> Tensor:
    """Return the mask [L,L] that makes rows [B,L,D] causal, for an answer."""
    positions = torch.arange(x.shape[1], device=x.device)
    return (positions > positions[:, None]).to(x.dtype) * HIDDEN


def rows_at(x: Tensor, positions: Tensor) -> Tensor:
    """Return the rows [B,K,D] at some positions [B,K] of [B,L,D]."""
    return x.gather(1, positions[..., None].expand(-1, -1, x.shape[-1]))
