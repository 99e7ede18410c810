"""SharedItems: a sequence encoder whose item vectors are both what it reads and what it scores with."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.encoder import SequenceEncoder


class SharedItems(SequenceEncoder):
    """Holds one table [N,D] and the items' biases [N]."""

    def __init__(self, item_count: int, width: int) -> None:
        super().__init__()
        self.items = nn.Embedding(item_count, width)
        self.item_bias = nn.Parameter(torch.zeros(item_count))

    def input_vectors(self) -> Tensor:
        """Return the item vectors with the padding row [N+1,D]."""
        return functional.pad(self.items.weight, (0, 0, 0, 1))

    def item_vectors(self) -> Tensor:
        """Return the item vectors with the bias as last dimension [N,D+1]."""
        return torch.cat((self.items.weight, self.item_bias[:, None]), dim=1)

    def input_rows(self, indices: Tensor) -> Tensor:
        """Return the input vectors [...,D] of some items or padding rows [...]."""
        last = len(self.items.weight) - 1
        rows: Tensor = self.items(indices.clamp(max=last))
        return rows * (indices <= last)[..., None]

    def item_rows(self, indices: Tensor) -> Tensor:
        """Return the output vectors [...,D+1] of some items [...]."""
        return torch.cat((self.items(indices), self.item_bias[indices][..., None]), dim=-1)

    def learn_by_rows(self) -> bool:
        """Let the gradient of the table be sparse."""
        self.items.sparse = True
        return True
