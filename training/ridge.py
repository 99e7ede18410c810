"""Ridge: weights that turn features of items into vectors, with what each item would get if it were left out.

    K = sum_p a_p F_p F_p^T;   alpha = (K + lambda I)^-1 (Y - m);   W_p = a_p F_p^T alpha
    left out: y_i = Y_i - alpha_i / ((K + lambda I)^-1)_ii

Saunders et al., "Ridge Regression Learning Algorithm in Dual Variables", 1998; the left-out vectors are exact (Allen,
"The Relationship Between Variable Selection and Data Augmentation", 1974) but for the mean m, which keeps each item.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Ridge:
    """alpha [N,V] and the mean [V] of the targets."""

    alpha: Tensor
    mean: Tensor

    @classmethod
    def of(cls, kernel: Tensor, targets: Tensor, penalty: float) -> Ridge:
        """Solve for targets [N,V] of the items that the kernel [N,N] is of."""
        mean = targets.mean(dim=0)
        return cls(torch.cholesky_solve((targets - mean).double(), _factor(kernel, penalty)).float(), mean)

    def predicted(self, kernel: Tensor) -> Tensor:
        """Return the vectors [M,V] of other items, the kernel [M,N] being between them and those of the solution."""
        return self.mean + kernel @ self.alpha

    def weights(self, features: Tensor, part_weight: float) -> Tensor:
        """Return the weights [F,V] of one part, whose features [N,F] the kernel was made of."""
        return part_weight * features.T @ self.alpha


def left_out(kernel: Tensor, targets: Tensor, penalty: float) -> Tensor:
    """Return the vector [N,V] that each item would get from all the others."""
    inverse = torch.cholesky_inverse(_factor(kernel, penalty))
    mean = targets.mean(dim=0)
    residuals = (inverse @ (targets - mean).double()) / inverse.diagonal()[:, None]
    return targets - residuals.float()


def weighed(kernels: Mapping[str, Tensor], part_weights: Mapping[str, float]) -> Tensor:
    """Return the kernel of all parts together."""
    return torch.stack([part_weights.get(name, 1.0) * each for name, each in kernels.items()]).sum(dim=0)


def _factor(kernel: Tensor, penalty: float) -> Tensor:
    factor: Tensor = torch.linalg.cholesky(kernel.double() + penalty * torch.eye(len(kernel), dtype=torch.float64))
    return factor
