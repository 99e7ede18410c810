"""FoldedItems solves for the user alone."""

from __future__ import annotations

import pytest
import torch

from models import FoldedItems


def test_the_row_is_the_ridge_solution_around_the_mean_row() -> None:
    torch.manual_seed(0)
    codes, mean_row, values = torch.randn(7, 3), torch.randn(3), torch.tensor([0.2, 0.9])
    made = FoldedItems(codes, mean_row, regularisation=0.5)
    rows = codes[[1, 4]]
    change = torch.linalg.solve(rows.T @ rows + 0.5 * torch.eye(3), rows.T @ (values - rows @ mean_row))
    found = made(rows[None], values[None], torch.zeros(1, 2), torch.tensor([2]))
    torch.testing.assert_close(found[0], mean_row + change, atol=1e-5, rtol=1e-5)


def test_padding_says_nothing() -> None:
    made = FoldedItems(torch.randn(7, 3), torch.randn(3))
    vectors = made.input_vectors()[torch.tensor([[1, 4, 7, 7]])]
    values = torch.tensor([[0.2, 0.9, 0.0, 0.0]])
    longer = made(vectors, values, torch.zeros(1, 4), torch.tensor([2]))
    shorter = made(vectors[:, :2], values[:, :2], torch.zeros(1, 2), torch.tensor([2]))
    torch.testing.assert_close(longer, shorter)


def test_without_regularisation_there_is_no_solution() -> None:
    with pytest.raises(ValueError, match=r"regularisation 0\.0"):
        FoldedItems(torch.randn(7, 3), torch.randn(3), regularisation=0.0)
