"""Sampled softmax of queries with one target each, some queries at a time (see training/full_softmax.py).

    loss = sum_q w_q (log(exp(q . v_q) + sum_m exp(q . v_m - c_m)) - q . v_q)

m goes over the drawn items but for the query's own target, c_m says how much oftener than uniformly it is drawn
(Bengio & Senecal, 2008).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from training.full_softmax import BLOCK


def sampled_softmax(
    queries: Tensor, right: Tensor, wrong: Tensor, correction: Tensor, same: tuple[Tensor, Tensor], weights: Tensor
) -> Tensor:
    """Return the sum of the cross entropies of Q queries, each times its weight [Q].

    queries [Q,E], vectors of their targets `right` [Q,E] and of drawn items `wrong` [M,E], which are drawn oftener than
    uniformly by the logarithm `correction` [M]; `same` are the items of both, [Q] and [M].
    """
    given = (queries, right, wrong, correction, *same, weights)
    loss: Tensor = _SampledSoftmax.apply(*given)  # type: ignore[no-untyped-call]
    return loss


class _SampledSoftmax(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 (torch names no type)
        queries: Tensor,
        right: Tensor,
        wrong: Tensor,
        correction: Tensor,
        targets: Tensor,
        drawn: Tensor,
        weights: Tensor,
    ) -> Tensor:
        device = queries.device.type
        precision = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else queries.dtype
        asked, negatives = queries.to(precision), wrong.to(precision)
        found = (queries * right).sum(dim=1).float()
        loss, to_found = weights.new_zeros(()), torch.empty_like(found)
        to_queries, to_wrong = torch.empty_like(asked), torch.zeros_like(negatives)
        for start in range(0, len(asked), BLOCK):
            rows = slice(start, min(start + BLOCK, len(asked)))
            scores = (asked[rows] @ negatives.T).float().sub_(correction)
            scores.masked_fill_(targets[rows, None] == drawn, -torch.inf)
            each, to_found[rows] = _cross_entropy(scores, found[rows], weights[rows])
            loss += each
            gradient = scores.to(precision)
            torch.mm(gradient, negatives, out=to_queries[rows])
            to_wrong.addmm_(gradient.T, asked[rows])
        to_queries = to_queries.to(queries.dtype).addcmul_(right, to_found[:, None].to(queries.dtype))
        ctx.save_for_backward(to_queries, to_found[:, None] * queries, to_wrong.to(wrong.dtype))
        return loss

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        return (*(gradient * saved for saved in ctx.saved_tensors), None, None, None, None)


def _cross_entropy(scores: Tensor, found: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Return the weighted sum and its gradient by `found` [Q]; that by the scores [Q,M] is put in their place."""
    top = torch.maximum(scores.amax(dim=1), found)
    own = (found - top).exp()
    total = scores.sub_(top[:, None]).exp_().sum(dim=1).add_(own)
    scores.mul_((weights / total)[:, None])
    return (weights * (total.log() + top - found)).sum(), weights * (own / total - 1.0)
