"""RatingFactorisation: ratings by factors of the items, with the user solved for by ridge regression.

Biased matrix factorisation with an implicit prior (SVD++: Koren, "Factorization Meets the Neighborhood", 2008), whose
factors come partly from item features; the user is no parameter but the ridge solution for the history, and training
differentiates through it (Bertinetto et al., "Meta-learning with differentiable closed-form solvers", 2019):

    V_i = [v_i + F_i W, s];   b_i = m + b'_i + F_i w_b;   y_i = y'_i + F_i W_y
    p = sum_j y_j / sqrt(n + 1) + p_0                                        (what is rated at all)
    u = argmin sum_j c_j (r_j - b_j - V_j . (p + u))^2 + |u|^2               (how it is rated)
    rating(i) = b_i + V_i . (p + u)

Ratings are counted in steps of 0..4 inside, and given as 0..1. The squares of all tables are penalised heavily: with a
weak penalty, or with a regularisation of the ridge that may shrink, it overfits.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.encoder import UserEncoder
from models.item_facts import ItemFacts
from models.matrix_factorisation import solve_ridge

STEPS_OF_SCALE = 4.0
# Weights of the squares, for each 100 events: factors, item biases, implicit factors, maps of features, confidences.
FIRST_MAP = 0.01
PENALTIES = (4.0, 0.1, 2.0, 10.0, 0.5)


class RatingFactorisation(UserEncoder):
    """An encoder whose scores are ratings in 0..1; train it with the loss mse."""

    objective = "masked"
    features: Tensor

    def __init__(
        self, item_count: int, width: int = 16, steps: int = 17, penalty: float = 1.0, facts: ItemFacts | None = None
    ) -> None:
        super().__init__()
        if min(width, steps) < 1 or penalty < 0:
            raise ValueError(f"width {width} and steps {steps} must be at least 1, penalty {penalty} at least 0")
        features = facts.features if facts is not None else torch.zeros(item_count, 0)
        self.steps, self.strength = steps, penalty * 100.0 / max(facts.events if facts is not None else 1, 1)
        self.register_buffer("features", features.float(), persistent=False)
        self.factors, self.implicit = nn.Embedding(item_count, width), nn.Embedding(item_count, width)
        self.biases, self.log_confidences = nn.Embedding(item_count, 1), nn.Embedding(item_count, 1)
        self.factor_map, self.implicit_map, self.bias_map = (
            nn.Parameter(torch.zeros(features.shape[1], size)) for size in (width, width, 1)
        )
        self.prior = nn.Parameter(torch.zeros(width))
        self.constant = nn.Parameter(torch.tensor(-1.0))
        self.mean = nn.Parameter(torch.tensor(STEPS_OF_SCALE * (facts.mean if facts is not None else 0.5)))
        self._initialise(facts)

    def input_vectors(self) -> Tensor:
        """Return [V, y, b, c] of each item with the padding row [N+1,2D+3]."""
        factors, biases = self._items()
        implicit = self.implicit.weight + self.features @ self.implicit_map
        joined = torch.cat((factors, implicit, biases, self.log_confidences.weight.exp()), dim=1)
        return functional.pad(joined, (0, 0, 0, 1))

    def item_vectors(self) -> Tensor:
        """Return [V, b] of each item in units of 0..1 [N,D+2]."""
        return torch.cat(self._items(), dim=1) / STEPS_OF_SCALE

    def forward(self, vectors: Tensor, values: Tensor, ages: Tensor, lengths: Tensor) -> Tensor:  # noqa: ARG002
        """Return [p + u, 1] of each user [B,D+2]."""
        width = len(self.prior)
        factors, implicit, biases, confidences = torch.split(vectors, [width + 1, width, 1, 1], dim=-1)
        root = (lengths.to(vectors.dtype) + 1.0).sqrt()[:, None]
        prior = functional.pad(implicit.sum(1) / root + self.prior, (0, 1))[..., None]
        targets = STEPS_OF_SCALE * values[..., None] - biases - factors @ prior
        regularisation = torch.ones_like(prior[:, :1])
        change = solve_ridge(factors, confidences, targets, regularisation, self.steps)
        return functional.pad((prior + change)[..., 0], (0, 1), value=1.0)

    def penalty(self) -> Tensor | None:
        """Return the weighted squares of the tables; they do not hang on the batch."""
        maps = torch.cat((self.factor_map, self.implicit_map, self.bias_map), dim=1)
        tables = (self.factors.weight, self.biases.weight, self.implicit.weight, maps, self.log_confidences.weight)
        weighted = [weight * table.square().sum() for weight, table in zip(PENALTIES, tables, strict=True)]
        return self.strength / STEPS_OF_SCALE**2 * torch.stack(weighted).sum()

    def _items(self) -> tuple[Tensor, Tensor]:
        factors = self.factors.weight + self.features @ self.factor_map
        constant = self.constant.exp().expand(len(factors), 1)
        biases = self.mean + self.biases.weight + self.features @ self.bias_map
        return torch.cat((factors, constant), dim=1), biases

    def _initialise(self, facts: ItemFacts | None) -> None:
        nn.init.normal_(self.factors.weight, std=0.1)
        with torch.no_grad():
            self.factor_map.copy_(FIRST_MAP * torch.randn(self.factor_map.shape))
        for module in (self.implicit, self.biases, self.log_confidences):
            nn.init.zeros_(module.weight)
        if facts is not None:
            with torch.no_grad():
                self.biases.weight.copy_(STEPS_OF_SCALE * facts.biases[:, None])
