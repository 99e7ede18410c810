"""ItemFacts: what is known of the items before a network learns."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True)
class ItemFacts:
    """features [N,F]: content and co-occurrence of each item, about standardised; biases [N]: how far its mean rating
    stands from `mean`, shrunk; ratings in 0..1; events: how many events there are to learn from.
    """

    features: Tensor
    biases: Tensor
    mean: float
    events: int
