"""Autoencoder: the user-based AutoRec.

Sedhain et al., "AutoRec: Autoencoders Meet Collaborative Filtering", 2015: a user's row r of the rating matrix is
squeezed through a hidden layer and rebuilt. The encoder's rows V_i are the input vectors and the decoder's W_i with the
bias c_i the output vectors; the product r V is a sum over the history (models/event_pooling.py).

    h_0 = g(pool(r V) + b);   h_l = g(A_l h_{l-1} + a_l);   user vector = [h, 1];   score(i) = user . [W_i, c_i]

V, W and A start by Glorot's variance, biases at zero.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.encoder import UserEncoder
from models.event_pooling import EventPooling
from models.initialisation import glorot

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "identity": torch.clone,
}


class Autoencoder(UserEncoder):
    """A dense autoencoder of the user's row of the rating matrix; `depth` counts the hidden layers after the first."""

    objective = "masked"

    def __init__(
        self,
        item_count: int,
        width: int = 256,
        depth: int = 0,
        activation: str = "tanh",
        normalise: str = "l2",
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        if width < 1 or depth < 0 or not 0 <= dropout < 1:
            raise ValueError(f"width {width} must be at least 1, depth {depth} at least 0, dropout {dropout} in [0, 1)")
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation is {activation!r}; it must be one of {', '.join(ACTIVATIONS)}")
        self.activation = ACTIVATIONS[activation]
        self.encoder_items, self.decoder_items = nn.Embedding(item_count, width), nn.Embedding(item_count, width)
        self.item_bias = nn.Parameter(torch.zeros(item_count))
        self.pooling = EventPooling(width, normalise)
        self.bias = nn.Parameter(torch.zeros(width))
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.dropout = nn.Dropout(dropout)
        self.apply(glorot)

    def input_vectors(self) -> Tensor:
        """Return the encoder's rows with the padding row [N+1,D]."""
        return functional.pad(self.encoder_items.weight, (0, 0, 0, 1))

    def item_vectors(self) -> Tensor:
        """Return the decoder's rows with the bias as last dimension [N,D+1]."""
        return torch.cat((self.decoder_items.weight, self.item_bias[:, None]), dim=1)

    def forward(self, vectors: Tensor, values: Tensor, ages: Tensor, lengths: Tensor) -> Tensor:  # noqa: ARG002
        """Return the hidden layer and a 1 [B,D+1]."""
        hidden = self.dropout(self.activation(self.pooling(vectors, values, lengths) + self.bias))
        for layer in self.layers:
            hidden = self.dropout(self.activation(layer(hidden)))
        return functional.pad(hidden, (0, 1), value=1.0)
