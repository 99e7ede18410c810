"""TargetAttention: the candidate asks the history which of its events matter, as the second stage.

Attention of the candidate as in Zhou et al., "Deep Interest Network for Click-Through Rate Prediction", 2018, and He et
al., "NAIS: Neural Attentive Item Similarity Model for Recommendation", 2018; here by a weighted cosine similarity.

    x_i = A h_i;   y_c = B c;   a(i,c) = sum_d w_d x_id y_cd / (|x_i| |y_c|)
    weight(i,c) = softmax_i(T a(i,c) + g . [2 v_i - 1, log(1 + age_i), log(1 + position_i)])   over the real events
    m_c = sum_i weight(i,c) (M h_i + (2 v_i - 1) r);   z = MLP([m_c * y_c, m_c, y_c, f])
    score = s' s + l . f + z

h_i and c are output vectors of items, v values, ages in days and positions counted from the newest event, f the
features and s the retrieval score. w and s' start at 1, T at 5, g at zero (no event has an advantage), r, l and the
last layer of the MLP at zero, other weights by Glorot's variance.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.attention_weights import attention_weights, real_events
from models.initialisation import glorot
from models.ranker import RankerNetwork

SMALLEST_LENGTH = 1e-6
FIRST_TEMPERATURE = 5.0


class TargetAttention(RankerNetwork):
    """Attention of each candidate over the history, then an MLP; the attention says why a candidate is there."""

    reads_history: ClassVar[bool] = True

    def __init__(
        self, width: int, features: int, hidden: int = 64, attention_width: int = 32, dropout: float = 0.2
    ) -> None:
        super().__init__(width, features, hidden, dropout)
        if attention_width < 1:
            raise ValueError(f"attention_width is {attention_width}; it must be at least 1")
        self.history_projection = nn.Linear(width, attention_width, bias=False)
        self.candidate_projection = nn.Linear(width, attention_width, bias=False)
        self.message_projection = nn.Linear(width, attention_width, bias=False)
        self.similarity_weights = nn.Parameter(torch.ones(attention_width))
        self.log_temperature = nn.Parameter(torch.tensor(math.log(FIRST_TEMPERATURE)))
        self.event_bias = nn.Linear(3, 1, bias=False)
        self.message_value = nn.Parameter(torch.zeros(attention_width))
        self.decoder = nn.Sequential(
            nn.Linear(3 * attention_width + features, hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden // 2),
            nn.GELU(),
            nn.Dropout(dropout),
        )
        self.output, self.linear = nn.Linear(hidden // 2, 1), nn.Linear(features, 1, bias=False)
        self.score_weight = nn.Parameter(torch.ones(()))
        self.dropout = nn.Dropout(dropout)
        self._initialise()

    def forward(
        self,
        user_vectors: Tensor,  # noqa: ARG002
        candidate_vectors: Tensor,
        features: Tensor,
        history_vectors: Tensor,
        values: Tensor,
        ages: Tensor,
        lengths: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Return the score [B,K] of each candidate and its attention to each event [B,K,L]."""
        retrieval_score, features = features[..., 0], self.standardised(features)
        history, candidates = self.dropout(history_vectors), self.dropout(candidate_vectors)
        bias = self.event_bias(self._circumstances(values, ages, lengths))[..., 0]
        logits = self.similarities(history, candidates) * self.log_temperature.exp() + bias[:, None]
        attention = attention_weights(logits, real_events(values, lengths)[:, None])
        attended = attention @ self._messages(history, values)
        change = self._decode(attended, self.candidate_projection(candidates), features)
        return self.score_weight * retrieval_score + change, attention

    def similarities(self, history: Tensor, candidates: Tensor) -> Tensor:
        """Return the weighted cosine [B,K,L] of candidates [B,K,E] and items of the history [B,L,E]."""
        events = functional.normalize(self.history_projection(history), dim=-1, eps=SMALLEST_LENGTH)
        targets = functional.normalize(self.candidate_projection(candidates), dim=-1, eps=SMALLEST_LENGTH)
        return (targets * self.similarity_weights) @ events.transpose(1, 2)

    def _circumstances(self, values: Tensor, ages: Tensor, lengths: Tensor) -> Tensor:
        positions = (lengths[:, None] - 1 - torch.arange(values.shape[1], device=values.device)).clamp(min=0)
        return torch.stack((2.0 * values - 1.0, ages.log1p(), positions.to(values.dtype).log1p()), dim=-1)

    def _messages(self, history: Tensor, values: Tensor) -> Tensor:
        messages: Tensor = self.message_projection(history) + (2.0 * values - 1.0)[..., None] * self.message_value
        return messages

    def _decode(self, attended: Tensor, targets: Tensor, features: Tensor) -> Tensor:
        hidden = self.decoder(torch.cat((attended * targets, attended, targets, features), dim=-1))
        change: Tensor = self.output(hidden) + self.linear(features)
        return change[..., 0]

    def _initialise(self) -> None:
        self.apply(glorot)
        # Zero last layers: before the first step the order is the first stage's.
        for module in (self.event_bias, self.output, self.linear):
            nn.init.zeros_(module.weight)
