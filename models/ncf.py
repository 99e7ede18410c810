"""NCF: neural collaborative filtering as the second stage.

He et al., "Neural Collaborative Filtering", 2017: generalised matrix factorisation (GMF) and a multi-layer perceptron
(MLP) over the same pair of vectors, here joined with features of the candidate and added to the first stage's score.

    z = MLP([W_u u + W_c c + W_f f]);   score = w s + h . (u * c) + l . f + z
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

SMALLEST_SCALE = 1e-3


class NCF(nn.Module):
    """user_vectors [B,E], candidate_vectors [B,K,E], features [B,K,F] -> scores [B,K].

    The first feature must be the retrieval score: the network starts out as the first stage's order and learns what to
    change. `center` and `scale` [F] standardise the features and are part of the network.
    """

    center: Tensor
    scale: Tensor

    def __init__(self, width: int, features: int, hidden: int = 64, dropout: float = 0.2) -> None:
        super().__init__()
        if hidden < 2 or not 0 <= dropout < 1:
            raise ValueError(f"hidden {hidden} must be at least 2, and dropout {dropout} at least 0 and below 1")
        self.register_buffer("center", torch.zeros(features))
        self.register_buffer("scale", torch.ones(features))
        self.gmf = nn.Linear(width, 1, bias=False)
        self.linear = nn.Linear(features, 1, bias=False)
        self.user_projection = nn.Linear(width, hidden, bias=False)
        self.candidate_projection = nn.Linear(width, hidden, bias=False)
        self.feature_projection = nn.Linear(features, hidden)
        self.hidden, self.output = nn.Linear(hidden, hidden // 2), nn.Linear(hidden // 2, 1)
        self.score_weight = nn.Parameter(torch.ones(()))
        self.dropout = nn.Dropout(dropout)
        self._initialise()

    def standardise(self, center: Tensor, scale: Tensor) -> None:
        """Set the mean and the deviation [F] that features have in training."""
        self.center.copy_(center)
        self.scale.copy_(scale.clamp(min=SMALLEST_SCALE))

    def forward(self, user_vectors: Tensor, candidate_vectors: Tensor, features: Tensor) -> Tensor:
        """Return the score of each candidate."""
        retrieval_score = features[..., 0]
        features = (features - self.center) / self.scale
        users, candidates = self.dropout(user_vectors)[:, None], self.dropout(candidate_vectors)
        generalised = self.gmf(users * candidates)
        joined = self.user_projection(users) + self.candidate_projection(candidates) + self.feature_projection(features)
        hidden = self.dropout(functional.gelu(self.hidden(self.dropout(functional.gelu(joined)))))
        change: Tensor = generalised + self.linear(features) + self.output(hidden)
        return self.score_weight * retrieval_score + change[..., 0]

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
        # Zero last layers: before the first step the order is the first stage's.
        for module in (self.gmf, self.linear, self.output):
            nn.init.zeros_(module.weight)
