"""ItemTower: content vectors become the input and output vectors of one network.

    input = a + A c;   output = b + B c

How the maps are found: training/tower_training.py.
"""

from __future__ import annotations

from torch import Tensor, nn


class ItemTower(nn.Module):
    """content_vectors [B,V] -> input_vectors [B,D], output_vectors [B,E]."""

    def __init__(self, width: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.inputs, self.outputs = nn.Linear(width, inputs), nn.Linear(width, outputs)

    def forward(self, content_vectors: Tensor) -> tuple[Tensor, Tensor]:
        """Return both vectors of each item."""
        return self.inputs(content_vectors), self.outputs(content_vectors)
