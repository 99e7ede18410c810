"""The softmax over all items in blocks, against torch's over all scores at once: its value and its gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from training.full_softmax import BLOCK, full_softmax

ITEMS, WIDTH = 41, 5
# Less than a block, whole blocks, and one that is cut.
COUNTS = [1, 7, BLOCK, 2 * BLOCK, 2 * BLOCK + 3]


def world(count: int, scale: float = 1.0) -> tuple[Tensor, Tensor]:
    torch.manual_seed(count)
    return (scale * torch.randn(count, WIDTH)).requires_grad_(), torch.randn(ITEMS, WIDTH).requires_grad_()


def expected(queries: Tensor, items: Tensor, owner: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    each = functional.cross_entropy((queries @ items.T)[owner], targets, reduction="none")
    return (weights * each).sum()


def assert_same(queries: Tensor, items: Tensor, owner: Tensor, targets: Tensor, weights: Tensor) -> None:
    results = []
    for loss in (full_softmax, expected):
        value = loss(queries, items, owner, targets, weights)
        # Scaled, since what follows the loss is part of its gradient.
        results.append((value, *torch.autograd.grad(3.0 * value, (queries, items))))
    torch.testing.assert_close(results[0], results[1], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("count", COUNTS)
def test_one_target_a_query_is_the_cross_entropy(count: int) -> None:
    queries, items = world(count)
    assert_same(queries, items, torch.arange(count), torch.randint(ITEMS, (count,)), torch.rand(count))


@pytest.mark.parametrize("count", COUNTS)
def test_many_targets_are_the_multinomial_likelihood(count: int) -> None:
    queries, items = world(count)
    # Some queries have none, some the same target twice.
    owner = torch.randint(count, (3 * count,)).sort().values
    assert_same(queries, items, owner, torch.randint(ITEMS, (3 * count,)), torch.rand(3 * count))


def test_scores_beyond_the_range_of_exp_stay_finite() -> None:
    queries, items = world(BLOCK + 1, scale=300.0)
    count = len(queries)
    assert_same(queries, items, torch.arange(count), torch.randint(ITEMS, (count,)), torch.ones(count) / count)


def test_nothing_to_learn_from_is_no_loss() -> None:
    queries, items = torch.empty(0, WIDTH, requires_grad=True), torch.randn(ITEMS, WIDTH, requires_grad=True)
    nothing = torch.empty(0, dtype=torch.long)
    loss = full_softmax(queries, items, nothing, nothing, torch.empty(0))
    loss.backward()
    assert loss == 0
    assert not items.grad.any()


def test_in_bfloat16_it_is_nearly_the_same() -> None:
    queries, items = world(2 * BLOCK + 3)
    given = torch.arange(len(queries)), torch.randint(ITEMS, (len(queries),)), torch.ones(len(queries)) / len(queries)
    exact = full_softmax(queries, items, *given)
    with torch.autocast("cpu", torch.bfloat16):
        rough = full_softmax(queries, items, *given)
    rough.backward()
    assert rough.dtype == queries.grad.dtype == torch.float32
    assert 0 < abs(rough - exact) < 0.02 * exact
