"""ItemRows: the item vectors of a network, looked up as they are needed: no step passes over the whole table."""

from __future__ import annotations

from torch import Tensor

from models.shared_items import SharedItems


class ItemRows:
    """Stands where the item vectors [N,E] would; what is learned of a row is learned by the network."""

    def __init__(self, network: SharedItems) -> None:
        self._network = network

    def __len__(self) -> int:
        return len(self._network.item_bias)

    def __getitem__(self, indices: Tensor) -> Tensor:
        return self._network.item_rows(indices)
