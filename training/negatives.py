"""NegativeSampler: which items a sampled loss compares the right one with."""

from __future__ import annotations

import torch
from torch import Tensor

from training.retriever_config import RetrieverConfig


class NegativeSampler:
    """Draws items that a whole batch shares, with the log of how much oftener than uniform each is drawn."""

    def __init__(self, config: RetrieverConfig, popularity: Tensor) -> None:
        """Take the number of training events [N] of each item."""
        self._config = config
        self._count = len(popularity)
        share = popularity.clamp(min=1).double() / popularity.clamp(min=1).sum()
        self._cumulative = share.cumsum(0)
        self._oftener = (share * self._count).log().float()

    def draw(self, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return items [M] and log(N q) [M], where q is an item's chance to be drawn: the logQ correction (Yi, 2019).

        in_batch takes them from the batch's targets [T], which come in proportion to popularity.
        """
        wanted = self._config.negatives * self._config.hard_pool
        if self._config.sampling == "uniform":
            return torch.randint(self._count, (wanted,), device=targets.device), targets.new_zeros(wanted).float()
        if self._config.sampling == "popularity":
            places = torch.rand(wanted, device=targets.device, dtype=torch.double)
            drawn = torch.searchsorted(self._cumulative, places).clamp(max=self._count - 1)
        else:
            drawn = targets[torch.randint(len(targets), (wanted,), device=targets.device)]
        return drawn, self._oftener[drawn]
