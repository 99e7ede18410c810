"""TwoTower: one dense network over the user's history, one over the item, compared by their cosine.

Xue et al., "Deep Matrix Factorization Models for Recommender Systems", 2017. The first layer of the user's tower
multiplies the row of the interaction matrix, which is a sum over the history (models/event_pooling.py). The paper feeds
the item's tower the item's column, all users who met it; here it is a free vector, for a column changes with every
event.

    p = A_2 relu(A_1 pool(r X) + a_1) + a_2;   q_i = B_2 relu(B_1 e_i + b_1) + b_2    (depth 1)
    user vector = [T p / |p|, 1];   output vector = [q_i / |q_i|, 0];   score(i) = T cos(p, q_i)

T is the inverse temperature, learned by its logarithm as in Radford et al., "Learning Transferable Visual Models From
Natural Language Supervision", 2021; with a temperature of 1 that is not learned, scores are plain cosines. X and e
start normal with variance 1/D, dense weights by Glorot's variance, biases at zero.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.encoder import UserEncoder
from models.event_pooling import EventPooling
from models.initialisation import glorot

# A history of nothing but the lowest ratings pools to zero, whose direction has no gradient.
SMALLEST_LENGTH = 1e-3


class TwoTower(UserEncoder):
    """A tower for histories and one for items; `depth` counts the hidden layers of each."""

    objective = "masked"

    def __init__(
        self,
        item_count: int,
        width: int = 64,
        hidden: int = 128,
        depth: int = 1,
        dropout: float = 0.1,
        temperature: float = 10.0,
        learn_temperature: bool = True,
        normalise: str = "mean",
    ) -> None:
        super().__init__()
        if min(width, hidden) < 1 or depth < 0 or not 0 <= dropout < 1 or temperature <= 0:
            raise ValueError(
                f"width {width} and hidden {hidden} must be at least 1, depth {depth} at least 0, dropout {dropout} at"
                f" least 0 and below 1, temperature {temperature} above 0"
            )
        self.history_items, self.items = nn.Embedding(item_count, width), nn.Embedding(item_count, width)
        self.pooling = EventPooling(width, normalise)
        self.user_tower = _tower(width, hidden, depth, dropout)
        self.item_tower = _tower(width, hidden, depth, dropout)
        self.log_temperature = nn.Parameter(torch.tensor(math.log(temperature)), requires_grad=learn_temperature)
        self.apply(glorot)
        for table in (self.history_items, self.items):
            nn.init.normal_(table.weight, std=width**-0.5)

    def input_vectors(self) -> Tensor:
        """Return what the user's tower reads of each item, with the padding row [N+1,D]."""
        return functional.pad(self.history_items.weight, (0, 0, 0, 1))

    def item_vectors(self) -> Tensor:
        """Return what the item's tower says of each item, at length 1 and with a bias of zero [N,D+1]."""
        return functional.pad(
            functional.normalize(self.item_tower(self.items.weight), dim=-1, eps=SMALLEST_LENGTH), (0, 1)
        )

    def forward(self, vectors: Tensor, values: Tensor, ages: Tensor, lengths: Tensor) -> Tensor:  # noqa: ARG002
        """Return what the user's tower says of each history, at the length T, and a 1 [B,D+1]."""
        users = functional.normalize(
            self.user_tower(self.pooling(vectors, values, lengths)), dim=-1, eps=SMALLEST_LENGTH
        )
        return functional.pad(users * self.log_temperature.exp(), (0, 1), value=1.0)


def _tower(width: int, hidden: int, depth: int, dropout: float) -> nn.Sequential:
    sizes = [width] + [hidden] * depth
    layers: list[nn.Module] = []
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after), nn.ReLU(), nn.Dropout(dropout)]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], width))
