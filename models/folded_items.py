"""FoldedItems: item codes that are given, with the user solved for by ridge regression.

What makes the item-based AutoRec (Sedhain et al., "AutoRec: Autoencoders Meet Collaborative Filtering", 2015) serve
anybody: there a rating is the product of an item's hidden code with the decoder's row of the user, and of a new user
only the row is missing.

    w = w_0 + argmin sum_j (r_j - h_j . (w_0 + x))^2 + lambda |x|^2;   rating(i) = h_i . w

w_0 is the mean row of the training users.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.encoder import UserEncoder
from models.matrix_factorisation import solve_ridge


class FoldedItems(UserEncoder):
    """Nothing to train: codes [N,E] (their last dimension a constant 1) and the mean row [E]."""

    codes: Tensor

    def __init__(self, codes: Tensor, mean_row: Tensor, regularisation: float = 1.0, steps: int = 32) -> None:
        super().__init__()
        if regularisation <= 0 or steps < 1:
            raise ValueError(f"regularisation {regularisation} must be above 0 and steps {steps} at least 1")
        self.register_buffer("codes", codes)
        self.mean_row = nn.Parameter(mean_row, requires_grad=False)
        # After as many steps as there are dimensions the solution is exact but for rounding, which as many more mend.
        self.regularisation, self.steps = regularisation, min(steps, 2 * codes.shape[1])

    def input_vectors(self) -> Tensor:
        """Return the codes with the padding row [N+1,E]."""
        return functional.pad(self.codes, (0, 0, 0, 1))

    def item_vectors(self) -> Tensor:
        """Return the codes [N,E]."""
        return self.codes

    def forward(self, vectors: Tensor, values: Tensor, ages: Tensor, lengths: Tensor) -> Tensor:  # noqa: ARG002
        """Return the row of each user [B,E]."""
        start = self.mean_row[None, :, None].expand(len(vectors), -1, -1)
        residuals = values[..., None] - vectors @ start
        regularisation = torch.full_like(start[:, :1], self.regularisation)
        change = solve_ridge(vectors, torch.ones_like(residuals), residuals, regularisation, self.steps)
        return (start + change)[..., 0]
