"""The sampled softmax in blocks, against the formula over all scores at once: its value and its gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from training import losses
from training.full_softmax import BLOCK
from training.sampled_softmax import sampled_softmax

ITEMS, DRAWN, WIDTH = 30, 12, 5
COUNTS = [1, BLOCK, 2 * BLOCK + 3]
Given = tuple[Tensor, Tensor, Tensor, Tensor, tuple[Tensor, Tensor], Tensor]


def world(count: int, scale: float = 1.0) -> Given:
    torch.manual_seed(count)
    queries, right, wrong = (torch.randn(rows, WIDTH) for rows in (count, count, DRAWN))
    vectors = [(scale * queries).requires_grad_(), right.requires_grad_(), wrong.requires_grad_()]
    items = torch.randint(ITEMS, (count,)), torch.randint(ITEMS, (DRAWN,))
    return vectors[0], vectors[1], vectors[2], torch.randn(DRAWN), items, torch.rand(count)


def expected(
    queries: Tensor, right: Tensor, wrong: Tensor, oftener: Tensor, items: tuple[Tensor, Tensor], weights: Tensor
) -> Tensor:
    scores = queries @ wrong.T - oftener
    scores = scores.masked_fill(items[0][:, None] == items[1], -torch.inf)
    return (weights * losses.sampled_softmax((queries * right).sum(dim=1), scores)).sum()


@pytest.mark.parametrize("scale", [1.0, 300.0])
@pytest.mark.parametrize("count", COUNTS)
def test_it_is_the_formula(count: int, scale: float) -> None:
    given = world(count, scale)
    results = []
    for loss in (sampled_softmax, expected):
        value = loss(*given)
        results.append((value, *torch.autograd.grad(3.0 * value, given[:3])))
    # Scores of a thousand have three places less behind the point.
    torch.testing.assert_close(results[0], results[1], atol=1e-4 * scale, rtol=1e-3)


def test_a_query_whose_draws_are_all_its_target_costs_nothing() -> None:
    queries, right, wrong, oftener, _, weights = world(3)
    same = torch.full((3,), 7), torch.full((DRAWN,), 7)
    assert sampled_softmax(queries, right, wrong, oftener, same, weights) == 0


def test_in_bfloat16_it_is_nearly_the_same() -> None:
    given = world(2 * BLOCK + 3)
    exact = sampled_softmax(*given)
    with torch.autocast("cpu", torch.bfloat16):
        rough = sampled_softmax(*given)
    rough.backward()
    assert given[0].grad is not None
    assert given[0].grad.dtype == torch.float32
    assert 0 < abs(rough - exact) < 0.02 * exact
