"""GRU4Rec: gated recurrent units over the history.

Hidasi et al., "Session-based Recommendations with Recurrent Neural Networks", 2016; the vectors shared between input
and output as in Hidasi & Karatzoglou, "Recurrent Neural Networks with Top-k Gains for Session-based Recommendations",
2018.

    x_t = the event (models/event_embedding.py);   h_t = GRU(x_t, h_{t-1});   user vector = [P h_last + p, 1]
    score(i) = user . [e_i, b_i]

e, P and the projections start by Glorot's variance, the GRU as models/recurrence.py says, biases at zero.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from models.dropout import PooledDropout
from models.event_embedding import EventEmbedding
from models.initialisation import glorot
from models.recurrence import Recurrence
from models.shared_items import SharedItems


class GRU4Rec(SharedItems):
    """Recurrent encoder with the item vectors shared between input and output."""

    def __init__(
        self, item_count: int, width: int = 64, hidden: int = 128, layers: int = 1, dropout: float = 0.25
    ) -> None:
        super().__init__(item_count, width)
        if min(width, hidden, layers) < 1:
            raise ValueError(f"width {width}, hidden {hidden} and layers {layers} must be at least 1")
        self.events = EventEmbedding(width)
        self.recurrence = Recurrence(width, hidden, layers, dropout)
        self.projection = nn.Linear(hidden, width)
        self.dropout = PooledDropout(dropout)
        self.apply(glorot)

    def states(self, vectors: Tensor, values: Tensor, ages: Tensor, lengths: Tensor) -> Tensor:  # noqa: ARG002
        """Return user vectors after each event [B,L,D+1]."""
        states = self.recurrence(self.dropout(self.events(vectors, values, ages)))
        return functional.pad(self.projection(self.dropout(states)), (0, 1), value=1.0)
