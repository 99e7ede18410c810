"""SASRec: causal self-attention over the history.

Kang & McAuley, "Self-Attentive Sequential Recommendation", 2018; pre-norm blocks and the softmax over the whole
catalogue as in Klenitskiy & Vasilev, "Turning Dross Into Gold Loss", 2023; rotary positions from Su et al.,
"RoFormer", 2021.

    x_0 = the event (models/event_embedding.py)
    x_l = x + Attention(LN(x)),  x + FFN(LN(x));   user vector = [LN(x_last), 1];   score(i) = user . [e_i, b_i]
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.dropout import PooledDropout
from models.event_embedding import EventEmbedding
from models.initialisation import glorot
from models.shared_items import SharedItems

ROTARY_BASE = 1_000.0


class SelfAttentionBlock(nn.Module):
    """One pre-norm block: causal attention, then a two-layer network on each position."""

    def __init__(self, width: int, heads: int, expansion: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm, self.feed_forward_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.projection = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)
        self.expand, self.contract = nn.Linear(width, expansion * width), nn.Linear(expansion * width, width)
        self.dropout = PooledDropout(dropout)

    def forward(self, x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        """Map [B,L,D] to [B,L,D]."""
        x = self.dropout.added(x, self.output(self._attend(self.attention_norm(x), cosine, sine)))
        hidden = self.dropout(functional.gelu(self.expand(self.feed_forward_norm(x))))
        return self.dropout.added(x, self.contract(hidden))

    def _attend(self, x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        split = self.projection(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        # Split in one, for the gradient of each slice of its own would be as large as the whole.
        asked, value = split.split((2, 1))
        query, key = rotate(asked, cosine, sine)
        # Padding stands to the right of every real event, so the causal mask alone hides it.
        attended = functional.scaled_dot_product_attention(query, key, value[0], is_causal=True)
        return attended.transpose(1, 2).flatten(2)


def rotate(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Turn each pair of dimensions by an angle that grows with the position."""
    left, right = x.chunk(2, dim=-1)
    return torch.cat((left * cosine - right * sine, left * sine + right * cosine), dim=-1)


class SASRec(SharedItems):
    """Causal self-attention encoder with the item vectors shared between input and output."""

    frequencies: Tensor

    def __init__(
        self,
        item_count: int,
        width: int = 64,
        blocks: int = 2,
        heads: int = 2,
        expansion: int = 2,
        dropout: float = 0.25,
    ) -> None:
        super().__init__(item_count, width)
        if width % (2 * heads) or min(width, heads, blocks, expansion) < 1:
            raise ValueError(f"width {width} must be a multiple of 2 x {heads} heads, blocks and expansion at least 1")
        self.events = EventEmbedding(width)
        self.blocks = nn.ModuleList(SelfAttentionBlock(width, heads, expansion, dropout) for _ in range(blocks))
        self.norm = nn.LayerNorm(width)
        self.dropout = PooledDropout(dropout)
        half = width // heads // 2
        self.register_buffer("frequencies", ROTARY_BASE ** (-torch.arange(half) / half), persistent=False)
        self.apply(glorot)

    def states(self, vectors: Tensor, values: Tensor, ages: Tensor, lengths: Tensor) -> Tensor:  # noqa: ARG002
        """Return user vectors after each event [B,L,D+1]."""
        x = self.dropout(self.events(vectors, values, ages))
        angles = torch.arange(x.shape[1], device=x.device)[:, None] * self.frequencies
        cosine, sine = angles.cos(), angles.sin()
        for block in self.blocks:
            x = block(x, cosine, sine)
        return functional.pad(self.norm(x), (0, 1), value=1.0)
