"""Softmax over the whole catalogue, some queries at a time: the scores of a batch never stand in memory at once.

    loss = sum_t w_t (log sum_i exp(q . v_i) - q . v_t)

The gradient is made beside it, while a block of scores is still in the cache of the processor.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

BLOCK = 128


def full_softmax(queries: Tensor, item_vectors: Tensor, owner: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Return the sum of the cross entropies of target items [T], each times its weight [T].

    queries [Q,E], item_vectors [N,E]; `owner` [T] ascends and says whose target it is. With many targets for one query
    it is the multinomial likelihood of Liang et al., 2018.
    """
    loss: Tensor = _FullSoftmax.apply(queries, item_vectors, owner, targets, weights)  # type: ignore[no-untyped-call]
    return loss


class _FullSoftmax(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 (torch names no type)
        queries: Tensor,
        item_vectors: Tensor,
        owner: Tensor,
        targets: Tensor,
        weights: Tensor,
    ) -> Tensor:
        device = queries.device.type
        precision = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else queries.dtype
        loss, asked, items = weights.new_zeros(()), queries.to(precision), item_vectors.to(precision)
        to_queries, to_items = torch.empty_like(asked), torch.zeros_like(items)
        products = torch.empty(min(BLOCK, len(asked)), len(items), dtype=precision, device=asked.device)
        for rows, found in _blocks(len(asked), owner):
            block = products[: rows.stop - rows.start]
            scores = torch.mm(asked[rows], items.T, out=block).float()
            loss += _cross_entropy(scores, owner[found] - rows.start, targets[found], weights[found])
            gradient = scores.to(precision)
            torch.mm(gradient, items, out=to_queries[rows])
            to_items.addmm_(gradient.T, asked[rows])
        ctx.save_for_backward(to_queries.to(queries.dtype), to_items.to(item_vectors.dtype))
        return loss

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        to_queries, to_items = ctx.saved_tensors
        return gradient * to_queries, gradient * to_items, None, None, None


def _blocks(count: int, owner: Tensor) -> Iterator[tuple[slice, slice]]:
    """Yield the queries of each block and their targets."""
    starts = [*range(0, count, BLOCK), count]
    borders = torch.searchsorted(owner, torch.tensor(starts, device=owner.device)).tolist()
    for place in range(len(starts) - 1):
        yield slice(*starts[place : place + 2]), slice(*borders[place : place + 2])


def _cross_entropy(scores: Tensor, owner: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted sum of the cross entropies, and put its gradient in the place of the scores [Q,N]."""
    right = scores[owner, targets]
    top = scores.amax(dim=1, keepdim=True)
    total = scores.sub_(top).exp_().sum(dim=1, keepdim=True)
    normaliser = (total.log() + top)[:, 0]
    weight = torch.zeros_like(normaliser).index_add_(0, owner, weights)
    scores.mul_(weight[:, None] / total)
    scores.index_put_((owner, targets), -weights, accumulate=True)
    return (weights * (normaliser[owner] - right)).sum()
