"""SASRec: causal self-attention over the history.

Kang & McAuley, "Self-Attentive Sequential Recommendation", 2018; pre-norm blocks and the softmax over the whole
catalogue as in Klenitskiy & Vasilev, "Turning Dross Into Gold Loss", 2023; rotary positions from Su et al.,
"RoFormer", 2021.

    x_0 = the event (models/event_embedding.py)
    x_l = x + Attention(LN(x)),  x + FFN(LN(x));   user vector = [LN(x_last), 1];   score(i) = user . [e_i, b_i]
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.attention_weights import real_events
from models.dropout import PooledDropout
from models.event_embedding import EventEmbedding
from models.initialisation import glorot
from models.rotary_attention import Turn, attend, rows_at, without_future
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

    def forward(self, x: Tensor, turn: Turn, mask: Tensor | None = None) -> Tensor:
        """Map [B,L,D] to [B,L,D]; see `attend` for the mask."""
        width = x.shape[-1]
        turned, value = self.projection(self.attention_norm(x)).split((2 * width, width), dim=-1)
        query, key = turn(turned, 2 * self.heads).chunk(2, dim=-1)
        # Padding stands to the right of every real event, so the causal mask alone hides it.
        return self._fed(x, attend(query, key, value, self.heads, mask))

    def newest(self, x: Tensor, turn: Turn, lengths: Tensor) -> Tensor:
        """Return of what `forward` gives the row of the newest event alone [B,1,D], without computing the others."""
        width, normed, last = x.shape[-1], self.attention_norm(x), (lengths - 1).clamp(min=0)[:, None]
        weights, biases = self.projection.weight, self.projection.bias
        query = functional.linear(rows_at(normed, last), weights[:width], biases[:width])
        key, value = functional.linear(normed, weights[width:], biases[width:]).chunk(2, dim=-1)
        query, key = turn.at(last)(query, self.heads), turn(key, self.heads)
        real = real_events(x[..., 0], lengths)[:, None, None]
        return self._fed(rows_at(x, last), attend(query, key, value, self.heads, real))

    def _fed(self, x: Tensor, attended: Tensor) -> Tensor:
        x = self.dropout.added(x, self.output(attended))
        hidden = self.dropout(functional.gelu(self.expand(self.feed_forward_norm(x))))
        return self.dropout.added(x, self.contract(hidden))


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
        x, turn = self.dropout(self.events(vectors, values, ages)), self._turn(vectors[:1])
        for block in self.blocks:
            x = block(x, turn)
        return self._user_vectors(x)

    def forward(self, vectors: Tensor, values: Tensor, ages: Tensor, lengths: Tensor) -> Tensor:
        """Return the user vector after the newest event [B,D+1]; the last block computes no other."""
        x, turn = self.dropout(self.events(vectors, values, ages)), self._turn(vectors)
        *blocks, last = cast("list[SelfAttentionBlock]", list(self.blocks))
        mask = without_future(x)
        for block in blocks:
            x = block(x, turn, mask)
        return self._user_vectors(last.newest(x, turn, lengths))[:, 0]

    def _turn(self, vectors: Tensor) -> Turn:
        positions = torch.arange(vectors.shape[1], device=vectors.device)
        angles = positions[:, None] * self.frequencies
        return Turn(angles.cos(), angles.sin(), positions.expand(vectors.shape[0], -1))

    def _user_vectors(self, x: Tensor) -> Tensor:
        return functional.pad(self.norm(x), (0, 1), value=1.0)
