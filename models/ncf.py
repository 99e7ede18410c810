"""NCF: neural collaborative filtering as the second stage.

He et al., "Neural Collaborative Filtering", 2017: generalised matrix factorisation (GMF) and a multi-layer perceptron
(MLP) over the same pair of vectors, together NeuMF; here joined with features of the candidate and added to the first
stage's score.

    z = MLP([W_u u + W_c c + W_f f])
    score = w s + l . f + h . (u * c)          (gmf)
    score = w s + l . f + z                    (mlp)
    score = w s + l . f + h . (u * c) + z      (neumf)

w starts at 1, the last layers h, l and that of the MLP at zero, other weights by Glorot's variance.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.ranker import RankerNetwork

PARTS = {"gmf": (True, False), "mlp": (False, True), "neumf": (True, True)}


class NCF(RankerNetwork):
    """GMF, an MLP or both over user vector and candidate vector; features go into the MLP and into a linear term."""

    def __init__(self, width: int, features: int, hidden: int = 64, dropout: float = 0.2, parts: str = "neumf") -> None:
        super().__init__(width, features, hidden, dropout)
        if parts not in PARTS:
            raise ValueError(f"parts is {parts!r}; it must be one of {', '.join(PARTS)}")
        factorises, perceives = PARTS[parts]
        self.gmf = nn.Linear(width, 1, bias=False) if factorises else None
        self.linear = nn.Linear(features, 1, bias=False)
        self.mlp = PairPerceptron(width, features, hidden, dropout) if perceives else None
        self.score_weight = nn.Parameter(torch.ones(()))
        self.dropout = nn.Dropout(dropout)
        self._initialise()

    def forward(self, user_vectors: Tensor, candidate_vectors: Tensor, features: Tensor) -> Tensor:
        """Return the score of each candidate."""
        retrieval_score, features = features[..., 0], self.standardised(features)
        users, candidates = self.dropout(user_vectors)[:, None], self.dropout(candidate_vectors)
        change: Tensor = self.linear(features)
        if self.gmf is not None:
            # h . (u * c) = (h * u) . c, and there is one user to many candidates.
            change = change + candidates @ (users * self.gmf.weight).transpose(1, 2)
        if self.mlp is not None:
            change = change + self.mlp(users, candidates, features)
        return self.score_weight * retrieval_score + change[..., 0]

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
        # Zero last layers: before the first step the order is the first stage's.
        for last in (self.gmf, self.linear, self.mlp.output if self.mlp is not None else None):
            if last is not None:
                nn.init.zeros_(last.weight)


class PairPerceptron(nn.Module):
    """Three layers over user [B,1,E], candidates [B,K,E] and features [B,K,F] -> [B,K,1]."""

    def __init__(self, width: int, features: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.user_projection = nn.Linear(width, hidden, bias=False)
        self.candidate_projection = nn.Linear(width, hidden, bias=False)
        self.feature_projection = nn.Linear(features, hidden)
        self.hidden, self.output = nn.Linear(hidden, hidden // 2), nn.Linear(hidden // 2, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, users: Tensor, candidates: Tensor, features: Tensor) -> Tensor:
        """Return one number for each pair."""
        # One product for all that belongs to a candidate, and one sum with what its user adds.
        weights = torch.cat((self.candidate_projection.weight, self.feature_projection.weight), dim=1)
        joined = functional.linear(torch.cat((candidates, features), dim=-1), weights)
        joined = joined + (self.user_projection(users) + self.feature_projection.bias)
        hidden = self.dropout(functional.gelu(self.hidden(self.dropout(functional.gelu(joined)))))
        result: Tensor = self.output(hidden)
        return result
