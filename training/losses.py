"""Losses of the first stage, as functions: any network with any of them that fits (training/retriever_config.py).

The softmax over the whole catalogue stands in training/full_softmax.py.

Where not stated otherwise: `right` [T] are the scores of the targets, `wrong` [T,M] those of drawn negatives, -inf
where a draw does not count; the result [T] is one loss for each target.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional


def sampled_softmax(right: Tensor, wrong: Tensor) -> Tensor:
    """Cross entropy of the target against the drawn negatives (Bengio & Senecal, 2008)."""
    return torch.cat((right[:, None], wrong), dim=1).logsumexp(dim=1) - right


def bpr(right: Tensor, wrong: Tensor) -> Tensor:
    """Pairwise logistic loss, mean over the negatives (Rendle et al., 2009)."""
    return functional.softplus(wrong - right[:, None]).mean(dim=1)


def bce(right: Tensor, wrong: Tensor) -> Tensor:
    """Binary cross entropy: the target is a yes, the mean negative a no."""
    return functional.softplus(-right) + functional.softplus(wrong).mean(dim=1)


def gbce(right: Tensor, wrong: Tensor, item_count: int, calibration: float) -> Tensor:
    """Binary cross entropy with the target's probability raised to beta (Petrov & Macdonald, 2023).

    beta = a (t (1 - 1/a) + 1/a) with the sampling rate a = M / (N - 1): it undoes the over-confidence that comes from
    seeing few of the negatives. t = 0 is plain BCE with summed negatives.
    """
    rate = min(wrong.shape[1] / max(item_count - 1, 1), 1.0)
    beta = rate * (calibration * (1 - 1 / rate) + 1 / rate)
    return beta * functional.softplus(-right) + functional.softplus(wrong).sum(dim=1)


def ccl(right: Tensor, wrong: Tensor, margin: float, negative_weight: float) -> Tensor:
    """Cosine contrastive loss: pull the target to 1, push negatives below the margin (Mao et al., 2021)."""
    return (1 - right) + negative_weight * functional.relu(wrong - margin).mean(dim=1)


def mse(predicted: Tensor, values: Tensor) -> Tensor:
    """Squared error of each observed rating, both in 0..1."""
    return (predicted - values).square()


def balanced(counts: Tensor, power: float) -> Tensor:
    """Return a weight for each class from its count: count^-power, with mean 1 over the events."""
    raw = counts.clamp(min=1).float().pow(-power)
    weights: Tensor = raw * counts.sum() / (raw * counts).sum().clamp(min=math.ulp(1.0))
    return weights
