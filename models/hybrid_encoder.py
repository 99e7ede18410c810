"""HybridEncoder: an encoder in training that meets some items by their content alone.

Volkovs et al., "DropoutNet: Addressing Cold Start in Recommender Systems", 2017: at each step a share of the items is
without what was learned of it, and stands there as a new item would: with the vectors that its content gives it.

    e_i = m_i q_i + (1 - m_i) t_i;   m_i = 0 with probability `dropout`, the same for input and output
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from models.encoder import SequenceEncoder, UserEncoder


class HybridEncoder(SequenceEncoder):
    """Wraps an encoder and the vectors [N,D] and [N,E] that the content of its items gives them."""

    unmet_inputs: Tensor
    unmet_outputs: Tensor
    dropped: Tensor

    def __init__(self, inner: UserEncoder, unmet_inputs: Tensor, unmet_outputs: Tensor, dropout: float) -> None:
        super().__init__()
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout is {dropout}; it must be at least 0 and below 1")
        self.inner = inner
        self.dropout = dropout
        self.register_buffer("unmet_inputs", functional.pad(unmet_inputs, (0, 0, 0, 1)), persistent=False)
        self.register_buffer("unmet_outputs", unmet_outputs, persistent=False)
        self.register_buffer("dropped", torch.zeros(len(unmet_outputs), 1, dtype=torch.bool), persistent=False)

    def draw(self) -> None:
        """Choose which items the next step meets by their content alone."""
        self.dropped = torch.rand(self.dropped.shape, device=self.dropped.device) < self.dropout

    def input_vectors(self) -> Tensor:
        """Return the inner input vectors [N+1,D], in training those of dropped items by content."""
        vectors = self.inner.input_vectors()
        if not self.training:
            return vectors
        return torch.where(functional.pad(self.dropped, (0, 0, 0, 1)), self.unmet_inputs, vectors)

    def item_vectors(self) -> Tensor:
        """Return the inner output vectors [N,E], in training those of dropped items by content."""
        vectors = self.inner.item_vectors()
        return torch.where(self.dropped, self.unmet_outputs, vectors) if self.training else vectors

    def forward(self, vectors: Tensor, values: Tensor, ages: Tensor, lengths: Tensor) -> Tensor:
        """Return the inner encoder's user vectors [B,E]."""
        encoded: Tensor = self.inner(vectors, values, ages, lengths)
        return encoded

    def states(self, vectors: Tensor, values: Tensor, ages: Tensor, lengths: Tensor) -> Tensor:
        """Return the inner encoder's states [B,L,E], if it has any."""
        assert isinstance(self.inner, SequenceEncoder)  # noqa: S101 (the config has checked it)
        return self.inner.states(vectors, values, ages, lengths)

    def reconstructions(self, *inputs: Tensor) -> Tensor:
        """Return what the inner encoder's decoder makes of user vectors, if it has one."""
        rebuilt: Tensor = self.inner.reconstructions(*inputs)  # type: ignore[operator]
        return rebuilt

    def penalty(self) -> Tensor | None:
        """Return the inner encoder's penalty."""
        return self.inner.penalty()
