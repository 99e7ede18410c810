"""SimpleX: cosines between items and the pooled history.

Mao et al., "SimpleX: A Simple and Strong Baseline for Collaborative Filtering", 2021; made for their cosine contrastive
loss. The paper mixes the pooled history with a vector for the user's id; that is left out, because a user is their
history: a new user has no such vector, and a known user's would not move with a new rating.

    pool = mean or learned attention over e_j (models/event_pooling.py);   p = W pool
    user vector = [p / |p|, 1];   output vector = [e_i / |e_i|, 0];   score(i) = cos(p, e_i)

e starts normal with variance 1/D; W as the identity, where the user vector is the direction of the history itself.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from models.encoder import UserEncoder
from models.event_pooling import AttentivePooling, EventPooling
from models.initialisation import glorot

# A history of nothing but the lowest ratings pools to zero, whose direction has no gradient.
SMALLEST_LENGTH = 1e-3


class SimpleX(UserEncoder):
    """The pooled history, turned by one matrix and scaled to length 1."""

    objective = "masked"
    unit_length = True

    def __init__(self, item_count: int, width: int = 64, pooling: str = "mean", dropout: float = 0.1) -> None:
        super().__init__()
        if width < 1 or not 0 <= dropout < 1:
            raise ValueError(f"width {width} must be at least 1, and dropout {dropout} at least 0 and below 1")
        if pooling not in ("mean", "attention"):
            raise ValueError(f"pooling is {pooling!r}; it must be mean or attention")
        self.items = nn.Embedding(item_count, width)
        self.pooling = EventPooling(width, "mean") if pooling == "mean" else AttentivePooling(width)
        self.projection = nn.Linear(width, width, bias=False)
        self.dropout = nn.Dropout(dropout)
        self.apply(glorot)
        nn.init.normal_(self.items.weight, std=width**-0.5)
        nn.init.eye_(self.projection.weight)

    def input_vectors(self) -> Tensor:
        """Return the item vectors with the padding row [N+1,D]."""
        return functional.pad(self.items.weight, (0, 0, 0, 1))

    def item_vectors(self) -> Tensor:
        """Return the item vectors at length 1 with a bias of zero [N,D+1]."""
        return functional.pad(functional.normalize(self.items.weight, dim=-1, eps=SMALLEST_LENGTH), (0, 1))

    def forward(self, vectors: Tensor, values: Tensor, ages: Tensor, lengths: Tensor) -> Tensor:  # noqa: ARG002
        """Return the direction of the history and a 1 [B,D+1]."""
        users = self.projection(self.dropout(self.pooling(vectors, values, lengths)))
        return functional.pad(functional.normalize(users, dim=-1, eps=SMALLEST_LENGTH), (0, 1), value=1.0)
