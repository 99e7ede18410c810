"""RecurrentAutoencoder: the history squeezed into one vector from which a second network rebuilds it in order.

Sutskever et al., "Sequence to Sequence Learning with Neural Networks", 2014, with the input itself as the sequence to
rebuild, as in the composite model of Srivastava et al., "Unsupervised Learning of Video Representations using LSTMs",
2015. The decoder sees the true events before each position, some of them dropped in training so that it must ask the
bottleneck (Bowman et al., "Generating Sentences from a Continuous Space", 2016).

    encoder   h_t = GRU(x_t, h_{t-1});   z = tanh(P h_last + p);   user vector = [z, 1]
    decoder   g_0 = tanh(S z + s);   g_t = GRU'([x_{t-1}, z], g_{t-1}), x_0 = 0;   y_t = z + O g_t + o
    score of item i at position t = [y_t, 1] . [e_i, b_i]

z is a term of every y_t, so it lives in the space of the item vectors: alone it scores what the whole history has in
common, which is what retrieval asks of it, and the decoder adds what is due at a position. Dense weights and e start by
Glorot's variance, the GRUs as models/recurrence.py says, biases at zero.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.dropout import PooledDropout
from models.encoder import SequenceEncoder
from models.event_embedding import EventEmbedding
from models.initialisation import glorot
from models.recurrence import Recurrence


class RecurrentAutoencoder(SequenceEncoder):
    """GRU encoder, bottleneck and GRU decoder; only the encoder is exported."""

    objective = "sequence_reconstruction"

    def __init__(
        self,
        item_count: int,
        width: int = 64,
        hidden: int = 128,
        layers: int = 1,
        dropout: float = 0.25,
        event_dropout: float = 0.5,
        activation: str = "tanh",
    ) -> None:
        super().__init__()
        if min(width, hidden, layers) < 1 or not 0 <= event_dropout < 1:
            raise ValueError(
                f"width {width}, hidden {hidden} and layers {layers} must be at least 1, event_dropout {event_dropout}"
                " at least 0 and below 1"
            )
        if activation not in ("tanh", "linear"):
            raise ValueError(f"activation is {activation!r}; it must be tanh or linear")
        self.layer_count, self.event_dropout, self.linear = layers, event_dropout, activation == "linear"
        self.items = nn.Embedding(item_count, width)
        self.item_bias = nn.Parameter(torch.zeros(item_count))
        self.events = EventEmbedding(width)
        self.encoder = Recurrence(width, hidden, layers, dropout)
        self.bottleneck = nn.Linear(hidden, width)
        self.start = nn.Linear(width, layers * hidden)
        self.decoder = Recurrence(2 * width, hidden, layers, dropout)
        self.output = nn.Linear(hidden, width)
        self.dropout = PooledDropout(dropout)
        self.apply(glorot)

    def input_vectors(self) -> Tensor:
        """Return the item vectors with the padding row [N+1,D]."""
        return functional.pad(self.items.weight, (0, 0, 0, 1))

    def item_vectors(self) -> Tensor:
        """Return the item vectors with the bias as last dimension [N,D+1]."""
        return torch.cat((self.items.weight, self.item_bias[:, None]), dim=1)

    def states(self, vectors: Tensor, values: Tensor, ages: Tensor, lengths: Tensor) -> Tensor:  # noqa: ARG002
        """Return the bottleneck, and a 1, after each event [B,L,D+1]."""
        code = self.bottleneck(self.dropout(self.encoder(self.dropout(self.events(vectors, values, ages)))))
        return functional.pad(code if self.linear else code.tanh(), (0, 1), value=1.0)

    def reconstructions(
        self,
        user_vectors: Tensor,
        vectors: Tensor,
        values: Tensor,
        ages: Tensor,
        lengths: Tensor,  # noqa: ARG002
    ) -> Tensor:
        """Return for each position [B,L,D+1] what scores its item, from the user vector [B,D+1] and earlier events."""
        code = user_vectors[:, :-1]
        embedded = self._forget(self.events(vectors, values, ages))
        earlier = functional.pad(embedded[:, :-1], (0, 0, 1, 0))
        everywhere = code[:, None].expand_as(earlier)
        initial = self.start(code).tanh().unflatten(-1, (self.layer_count, -1)).transpose(0, 1).contiguous()
        states = self.decoder(torch.cat((earlier, everywhere), dim=-1), initial)
        return functional.pad(everywhere + self.output(self.dropout(states)), (0, 1), value=1.0)

    def _forget(self, embedded: Tensor) -> Tensor:
        """Drop whole events in training."""
        return embedded * functional.dropout(torch.ones_like(embedded[..., :1]), self.event_dropout, self.training)
