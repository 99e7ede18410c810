"""UserEncoder and SequenceEncoder: what every first-stage network is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional


class UserEncoder(nn.Module, ABC):
    """A network that turns a history into a user vector. It sees item vectors, never item ids.

    Rows are right-padded: vectors [B,L,D] (zeros at padding), values [B,L] in 0..1, ages [B,L] in days before the
    newest event, lengths [B] >= 1. A user vector times an item's output vector is the score of the item.
    """

    objective: ClassVar[str] = "masked"
    """The objective (training/objectives.py) that a config gets which names none."""
    unit_length: ClassVar[bool] = False
    """Whether scores are cosines in -1..1, as the cosine contrastive loss needs."""

    @abstractmethod
    def input_vectors(self) -> Tensor:
        """Return what the network reads of each item [N+1,D]; row N is padding, all zeros."""

    @abstractmethod
    def item_vectors(self) -> Tensor:
        """Return what a user vector is multiplied with [N,E]; the last dimension is the item's bias."""

    def input_rows(self, indices: Tensor) -> Tensor:
        """Return the input vectors [...,D] of some items or padding rows [...]."""
        return functional.embedding(indices, self.input_vectors())

    def learn_by_rows(self) -> bool:
        """Ask that a step touches only the rows of the table that it reads; return whether this network can do so.

        One that can has `item_rows`.
        """
        return False

    @abstractmethod
    def forward(self, vectors: Tensor, values: Tensor, ages: Tensor, lengths: Tensor) -> Tensor:
        """Return the user vector [B,E] of each history."""

    def penalty(self) -> Tensor | None:
        """Return what the newest training pass adds to the loss beside its objective, if anything."""
        return None


class SequenceEncoder(UserEncoder):
    """A network that reads events one after the other, so that it can learn at every position of a history."""

    objective = "next_event"

    @abstractmethod
    def states(self, vectors: Tensor, values: Tensor, ages: Tensor, lengths: Tensor) -> Tensor:
        """Return the user vector after each event [B,L,E], from that event and those before it only."""

    def forward(self, vectors: Tensor, values: Tensor, ages: Tensor, lengths: Tensor) -> Tensor:
        """Return the user vector after the newest event [B,E]."""
        states = self.states(vectors, values, ages, lengths)
        last = (lengths - 1).clamp(min=0)[:, None, None].expand(-1, 1, states.shape[-1])
        return states.gather(1, last)[:, 0]
