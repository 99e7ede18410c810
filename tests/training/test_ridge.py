"""Ridge says what solving again would say."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from training.ridge import Ridge, left_out, weighed

ITEMS, WIDTH = 9, 3


@pytest.fixture
def features() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return {"words": torch.randn(ITEMS, 5), "image": torch.randn(ITEMS, 20)}


@pytest.fixture
def targets() -> Tensor:
    return torch.randn(ITEMS, WIDTH, generator=torch.Generator().manual_seed(1)) + 2.0


def kernel_of(features: dict[str, Tensor], weights: dict[str, float]) -> Tensor:
    return weighed({name: each @ each.T for name, each in features.items()}, weights)


@pytest.mark.parametrize("penalty", [0.1, 3.0, 100.0])
def test_the_solution_is_that_of_ridge_regression_on_the_features(
    features: dict[str, Tensor], targets: Tensor, penalty: float
) -> None:
    weights = {"image": 4.0}
    found = Ridge.of(kernel_of(features, weights), targets, penalty)
    rows = torch.cat((features["words"], 2.0 * features["image"]), dim=1).double()
    centred = (targets - targets.mean(dim=0)).double()
    solved = torch.linalg.solve(rows.T @ rows + penalty * torch.eye(rows.shape[1]), rows.T @ centred).float()
    torch.testing.assert_close(found.weights(features["words"], 1.0), solved[:5], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found.weights(features["image"], 4.0), 2.0 * solved[5:], atol=1e-4, rtol=1e-4)


def test_weights_and_kernel_predict_the_same(features: dict[str, Tensor], targets: Tensor) -> None:
    weights = {"words": 0.5, "image": 2.0}
    ridge = Ridge.of(kernel_of(features, weights), targets, 1.0)
    others = {name: torch.randn(4, each.shape[1]) for name, each in features.items()}
    between = sum(weights[name] * others[name] @ features[name].T for name in features)
    by_features = sum(others[name] @ ridge.weights(features[name], weights[name]) for name in features)
    torch.testing.assert_close(ridge.predicted(between), ridge.mean + by_features, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("penalty", [0.1, 3.0])
def test_left_out_is_what_the_others_say_with_the_mean_of_all(
    features: dict[str, Tensor], targets: Tensor, penalty: float
) -> None:
    kernel = kernel_of(features, {})
    found, mean = left_out(kernel, targets, penalty), targets.mean(dim=0)
    for item in range(ITEMS):
        others = torch.arange(ITEMS) != item
        taught = kernel[others][:, others] + penalty * torch.eye(ITEMS - 1)
        wanted = mean + kernel[item, others] @ torch.linalg.solve(taught, targets[others] - mean)
        torch.testing.assert_close(found[item], wanted, atol=1e-3, rtol=1e-3)
        fitted = Ridge.of(kernel, targets, penalty).predicted(kernel[item])
        assert not torch.allclose(found[item], fitted, atol=1e-2)


def test_an_item_without_features_gets_the_mean(targets: Tensor) -> None:
    rows = torch.randn(ITEMS, 4)
    rows[3] = 0.0
    torch.testing.assert_close(left_out(rows @ rows.T, targets, 2.0)[3], targets.mean(dim=0))


def test_items_that_are_alike_are_still_solved_for(targets: Tensor) -> None:
    rows = torch.ones(ITEMS, 4)
    assert torch.isfinite(left_out(rows @ rows.T, targets, 1e-3)).all()
    assert torch.isfinite(Ridge.of(rows @ rows.T, targets, 1e-3).alpha).all()
