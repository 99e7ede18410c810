from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from models import MatrixFactorisation
from models.matrix_factorisation import solve_ridge

ITEMS = 60


@pytest.mark.parametrize("by_length", [False, True])
def test_folding_in_is_ridge_regression(by_length: bool, histories_of) -> None:
    network = MatrixFactorisation(ITEMS, width=8, regularisation=0.4, regularise_by_length=by_length).eval()
    with torch.no_grad():
        network.confidence.fill_(0.7)
        network.target.copy_(torch.tensor([0.9, 0.6]))
    given = histories_of(network, [12, 3])
    users = network(*given.inputs)
    for row, length in enumerate([12, 3]):
        factors, signal = given.vectors[row, :length], 2 * given.values[row, :length] - 1
        weighted = factors.T * (0.7 * signal).exp()
        regularisation = 0.4 * (length if by_length else 1)
        right = weighted @ (0.9 + 0.6 * signal)
        expected = torch.linalg.solve(weighted @ factors + regularisation * torch.eye(8), right)
        torch.testing.assert_close(users[row, :-1], expected, atol=1e-4, rtol=1e-4)
        assert users[row, -1] == 1


def test_the_default_steps_are_enough_for_long_histories(histories_of) -> None:
    network = MatrixFactorisation(ITEMS).eval()
    given = histories_of(network, [50])
    factors = given.vectors[0]
    regularisation = 0.1 * 50 * torch.eye(64)
    expected = torch.linalg.solve(factors.T @ factors + regularisation, factors.T @ given.values[0])
    torch.testing.assert_close(network(*given.inputs)[0, :-1], expected, atol=1e-4, rtol=1e-3)


def test_training_goes_through_the_solution(histories_of) -> None:
    network = MatrixFactorisation(ITEMS, width=4).double()
    given = histories_of(network, [5])
    real = torch.ones(1, 5, 1, dtype=torch.double)
    targets = given.values.double()[..., None]
    regularisation = torch.full((1, 1, 1), 0.7, dtype=torch.double)

    def solution(rows: torch.Tensor, regularisation: torch.Tensor) -> torch.Tensor:
        return solve_ridge(rows, real, targets, regularisation, steps=4)

    rows = given.vectors.double().requires_grad_()
    assert torch.autograd.gradcheck(solution, (rows, regularisation.requires_grad_()))


def test_further_steps_leave_a_solved_system_alone() -> None:
    rows = torch.randn(1, 2, 3).requires_grad_()
    ones = torch.ones(1, 2, 1)
    solutions = [solve_ridge(rows, ones, ones, torch.ones(1, 1, 1), steps) for steps in (3, 60)]
    torch.testing.assert_close(*solutions)
    solutions[1].sum().backward()
    assert torch.isfinite(rows.grad).all()


def test_a_score_is_a_dense_layer_on_the_product(histories_of) -> None:
    network = MatrixFactorisation(ITEMS, width=8).eval()
    torch.nn.init.normal_(network.output_weights)
    torch.nn.init.normal_(network.item_bias)
    users = network(*histories_of(network, [5, 2]).inputs)
    products = users[:, None, :-1] * network.items.weight
    expected = products @ network.output_weights + network.item_bias
    torch.testing.assert_close(users @ network.item_vectors().T, expected)


def test_the_regularisation_is_the_one_asked_for_and_learns_only_if_allowed(histories_of) -> None:
    for value, learns in ((0.05, True), (30.0, False)):
        network = MatrixFactorisation(ITEMS, width=8, regularisation=value, learn_regularisation=learns)
        assert network.regularisation(torch.tensor([9]))[0].item() == pytest.approx(9 * value, rel=1e-4)
        given = histories_of(network, [5])
        functional.mse_loss(network(*given.inputs), torch.zeros(1, 9)).backward()
        assert (network.raw_regularisation.grad is not None) == learns
