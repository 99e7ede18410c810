"""Losses against their formulas, written out slowly or taken from torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from training import losses

TARGETS, NEGATIVES, CATALOGUE = 6, 5, 41
COUNTED = torch.tensor([True, True, False, True, True])


@pytest.fixture
def right() -> Tensor:
    torch.manual_seed(0)
    return torch.randn(TARGETS)


@pytest.fixture
def wrong(right: Tensor) -> Tensor:
    return torch.randn(TARGETS, NEGATIVES)


def log_sigmoid(scores: Tensor) -> Tensor:
    return (1 / (1 + (-scores.double()).exp())).log().float()


def test_the_sampled_softmax_is_the_cross_entropy_of_the_target_among_the_drawn(right: Tensor, wrong: Tensor) -> None:
    joined = torch.cat((right[:, None], wrong), dim=1)
    expected = functional.cross_entropy(joined, torch.zeros(TARGETS, dtype=torch.long), reduction="none")
    torch.testing.assert_close(losses.sampled_softmax(right, wrong), expected)


def test_bpr_is_minus_the_log_probability_of_the_right_order(right: Tensor, wrong: Tensor) -> None:
    expected = torch.stack([-log_sigmoid(right - wrong[:, place]) for place in range(NEGATIVES)]).mean(dim=0)
    torch.testing.assert_close(losses.bpr(right, wrong), expected)


def test_bce_is_a_yes_for_the_target_and_a_no_for_the_mean_negative(right: Tensor, wrong: Tensor) -> None:
    yes = functional.binary_cross_entropy_with_logits(right, torch.ones(TARGETS), reduction="none")
    no = functional.binary_cross_entropy_with_logits(wrong, torch.zeros(TARGETS, NEGATIVES), reduction="none")
    torch.testing.assert_close(losses.bce(right, wrong), yes + no.mean(dim=1))


def test_gbce_without_calibration_is_bce_with_summed_negatives(right: Tensor, wrong: Tensor) -> None:
    yes = functional.binary_cross_entropy_with_logits(right, torch.ones(TARGETS), reduction="none")
    no = functional.binary_cross_entropy_with_logits(wrong, torch.zeros(TARGETS, NEGATIVES), reduction="none")
    torch.testing.assert_close(losses.gbce(right, wrong, CATALOGUE, 0.0), yes + no.sum(dim=1))


@pytest.mark.parametrize("calibration", [0.3, 0.75, 1.0])
def test_gbce_raises_the_target_s_probability_to_beta(right: Tensor, wrong: Tensor, calibration: float) -> None:
    rate = NEGATIVES / (CATALOGUE - 1)
    beta = rate * (calibration * (1 - 1 / rate) + 1 / rate)
    assert rate <= beta < 1
    expected = -(torch.sigmoid(right) ** beta).log() - (1 - torch.sigmoid(wrong)).log().sum(dim=1)
    torch.testing.assert_close(losses.gbce(right, wrong, CATALOGUE, calibration), expected)


def test_gbce_with_every_negative_needs_no_calibration(right: Tensor, wrong: Tensor) -> None:
    assert NEGATIVES == 6 - 1
    torch.testing.assert_close(losses.gbce(right, wrong, 6, 1.0), losses.gbce(right, wrong, 6, 0.0))


def test_ccl_pulls_the_target_to_one_and_leaves_negatives_below_the_margin_alone() -> None:
    right, wrong = torch.tensor([1.0, 0.25]), torch.tensor([[0.5, -1.0, 0.4], [0.1, 0.9, 0.6]])
    expected = torch.tensor([0.0 + 30 * 0.1 / 3, 0.75 + 30 * (0.5 + 0.2) / 3])
    torch.testing.assert_close(losses.ccl(right, wrong, 0.4, 30.0), expected)


def test_mse_is_the_squared_error() -> None:
    found = losses.mse(torch.tensor([0.5, 1.0]), torch.tensor([0.25, 0.0]))
    torch.testing.assert_close(found, torch.tensor([0.0625, 1.0]))


SAMPLED = {
    "sampled_softmax": losses.sampled_softmax,
    "bpr": losses.bpr,
    "bce": losses.bce,
    "gbce": lambda right, wrong: losses.gbce(right, wrong, CATALOGUE, 0.75),
    "ccl": lambda right, wrong: losses.ccl(right, wrong, 0.4, 30.0),
}


@pytest.mark.parametrize("name", sorted(SAMPLED))
def test_a_negative_that_does_not_count_teaches_nothing(name: str, right: Tensor, wrong: Tensor) -> None:
    right, wrong = nn.Parameter(right), nn.Parameter(wrong)
    each = SAMPLED[name](right, wrong.masked_fill(~COUNTED, -torch.inf))
    assert torch.isfinite(each).all()
    each.sum().backward()
    assert torch.isfinite(right.grad).all()
    assert torch.isfinite(wrong.grad).all()
    assert not wrong.grad[:, ~COUNTED].any()
    assert wrong.grad[:, COUNTED].any()
    # Means go over all draws, so what does not count is as if its score were far below.
    torch.testing.assert_close(each, SAMPLED[name](right, wrong.masked_fill(~COUNTED, -1e4)))


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_balanced_weights_fall_with_the_count_and_have_the_mean_one(power: float) -> None:
    counts = torch.tensor([10, 1, 0, 4])
    weights = losses.balanced(counts, power)
    assert (weights * counts).sum() / counts.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(weights[[1, 3]] / weights[0], np.array([10.0, 2.5]) ** power, rtol=1e-6)
    assert torch.isfinite(weights).all()
