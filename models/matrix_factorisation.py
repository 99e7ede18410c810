"""MatrixFactorisation: R ~ U^T V with a dense output layer, and the user folded in when an answer is due.

Koren et al., "Matrix Factorization Techniques for Recommender Systems", 2009; the dense layer on the element-wise
product is the generalised factorisation of He et al., "Neural Collaborative Filtering", 2017. Confidence as in Hu et
al., "Collaborative Filtering for Implicit Feedback Datasets", 2008; lambda n as in Zhou et al., "Large-Scale Parallel
Collaborative Filtering for the Netflix Prize", 2008. A user vector is no parameter but the ridge solution for the
history, and training differentiates through it (Bertinetto et al., "Meta-learning with differentiable closed-form
solvers", 2019):

    u = argmin sum_j c_j (t_j - u . q_j)^2 + lambda |u|^2    <=>    (Q^T C Q + lambda I) u = Q^T C t
    t_j = t + t' (2 v_j - 1);   c_j = exp(k (2 v_j - 1))
    score(i) = sum_d w_d u_d q_id + b_i = [u, 1] . [w * q_i, b_i]

It is solved by a fixed number of conjugate gradient steps (Hestenes & Stiefel, 1952; for fold-in Takacs et al.,
"Applications of the conjugate gradient method for implicit feedback collaborative filtering", 2011): exact after as
many steps as there are events or dimensions, and near it long before where lambda is not tiny.
lambda is `regularisation` times n, or without n if `regularise_by_length` is off. q starts normal with variance 1/D, w
at 1, b and k at 0, t = t' = 1/2 (the target is the value).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.encoder import UserEncoder

SMALLEST_DIVISOR = 1e-12


class MatrixFactorisation(UserEncoder):
    """Factors of items are learned, factors of users are solved for."""

    objective = "masked"

    def __init__(
        self,
        item_count: int,
        width: int = 64,
        regularisation: float = 0.1,
        learn_regularisation: bool = True,
        regularise_by_length: bool = True,
        steps: int = 16,
    ) -> None:
        super().__init__()
        if min(width, steps) < 1 or regularisation <= 0:
            raise ValueError(f"width {width} and steps {steps} must be at least 1, regularisation {regularisation} > 0")
        self.steps, self.regularise_by_length = steps, regularise_by_length
        self.items = nn.Embedding(item_count, width)
        self.item_bias = nn.Parameter(torch.zeros(item_count))
        self.output_weights = nn.Parameter(torch.ones(width))
        self.target = nn.Parameter(torch.full((2,), 0.5))
        self.confidence = nn.Parameter(torch.zeros(()))
        # The inverse of softplus, which keeps lambda above zero.
        self.raw_regularisation = nn.Parameter(
            torch.tensor(math.log(math.expm1(regularisation))), requires_grad=learn_regularisation
        )
        nn.init.normal_(self.items.weight, std=width**-0.5)

    def input_vectors(self) -> Tensor:
        """Return the item factors with the padding row [N+1,D]."""
        return functional.pad(self.items.weight, (0, 0, 0, 1))

    def item_vectors(self) -> Tensor:
        """Return the item factors times the dense weights, with the bias as last dimension [N,D+1]."""
        return torch.cat((self.items.weight * self.output_weights, self.item_bias[:, None]), dim=1)

    def forward(self, vectors: Tensor, values: Tensor, ages: Tensor, lengths: Tensor) -> Tensor:  # noqa: ARG002
        """Return the folded-in user factors and a 1 [B,D+1]."""
        signal = 2.0 * values - 1.0
        confidences = (self.confidence * signal).exp()[..., None]
        targets = (self.target[0] + self.target[1] * signal)[..., None]
        users = solve_ridge(vectors, confidences, targets, self.regularisation(lengths)[:, None, None], self.steps)
        return functional.pad(users[..., 0], (0, 1), value=1.0)

    def regularisation(self, lengths: Tensor) -> Tensor:
        """Return lambda for histories of these lengths [B]."""
        lengths = lengths.to(self.raw_regularisation.dtype)
        growth = lengths.clamp(min=1) if self.regularise_by_length else torch.ones_like(lengths)
        return functional.softplus(self.raw_regularisation) * growth


def solve_ridge(rows: Tensor, confidences: Tensor, targets: Tensor, regularisation: Tensor, steps: int) -> Tensor:
    """Return u [B,D,1] of (Q^T C Q + lambda I) u = Q^T C t by conjugate gradients.

    rows [B,L,D] are Q (zeros at padding), confidences and targets [B,L,1], regularisation [B,1,1].
    """
    columns = rows.transpose(1, 2)
    unit = torch.eye(rows.shape[-1], dtype=rows.dtype, device=rows.device)
    # The matrix itself, once: no step then looks at the events again.
    matrix = columns @ (confidences * rows) + regularisation * unit
    residual = columns @ (confidences * targets)
    # Not list[Tensor](): beside it the export takes the batch size for fixed.
    directions: list[Tensor] = []
    rates: list[Tensor] = []
    direction = residual
    squared = residual.transpose(1, 2) @ residual
    for _ in range(steps):
        image = matrix @ direction
        # A solved row has nothing left to divide by; it then stays as it is.
        rate = squared / (direction.transpose(1, 2) @ image).clamp(min=SMALLEST_DIVISOR)
        directions.append(direction)
        rates.append(rate)
        residual = residual - rate * image
        left = residual.transpose(1, 2) @ residual
        direction = residual + left / squared.clamp(min=SMALLEST_DIVISOR) * direction
        squared = left
    return torch.cat(directions, dim=2) @ torch.cat(rates, dim=1)
