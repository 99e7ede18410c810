"""Losses of the first stage: any encoder with any of them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def softmax(states: Tensor, item_vectors: Tensor, targets: Tensor) -> Tensor:
    """Cross entropy over the whole catalogue: states [T,E], item_vectors [N,E], targets [T] -> mean loss."""
    return functional.cross_entropy((states @ item_vectors.T).float(), targets)


def sampled_softmax(states: Tensor, item_vectors: Tensor, targets: Tensor, negatives: int) -> Tensor:
    """Cross entropy of each target against uniform negatives that the whole batch shares.

    Uniform draws need no logQ correction (Bengio & Senecal, 2008): it is the same for all. A negative that is a
    position's target is taken out of that position's sum.
    """
    drawn = torch.randint(len(item_vectors), (negatives,), device=states.device)
    right = (states * item_vectors[targets]).sum(-1, keepdim=True)
    wrong = (states @ item_vectors[drawn].T).masked_fill(drawn == targets[:, None], -torch.inf)
    zeros = torch.zeros(len(states), dtype=torch.long, device=states.device)
    return functional.cross_entropy(torch.cat((right, wrong), dim=1).float(), zeros)
