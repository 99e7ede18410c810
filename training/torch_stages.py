"""TorchEncoder and TorchRanker: networks still in training, behind the engine's own contracts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from engine.features import Candidates, candidate_features
from engine.index import VectorIndex
from engine.items import ItemTable
from engine.neighbours import NeighbourTable
from engine.vocabulary import Vocabulary
from engine.window import HistoryBatch
from models import UserEncoder

Floats = npt.NDArray[np.float32]


class TorchEncoder:
    """An Encoder around a torch network."""

    def __init__(self, network: UserEncoder, device: str) -> None:
        self._network = network.eval()
        self._device = device

    @torch.no_grad()
    def encode(self, batch: HistoryBatch) -> Floats:
        """Return user vectors [B,E]."""
        arrays = (batch.vectors, batch.values, batch.ages, batch.lengths)
        encoded: Tensor = self._network(*(torch.from_numpy(array).to(self._device) for array in arrays))
        return to_numpy(encoded)


class TorchRanker:
    """A Ranker around a torch network."""

    def __init__(self, network: nn.Module, features: Sequence[str], items: ItemTable, device: str) -> None:
        self._network = network.eval()
        self._features = features
        self._items = items
        self._device = device

    @torch.no_grad()
    def scores(self, candidates: Candidates) -> Floats:
        """Return scores [B,K]."""
        features = candidate_features(self._features, self._items, candidates)
        arrays = (candidates.user_vectors, self._items.output_vectors[candidates.indices], features)
        scored: Tensor = self._network(*(torch.from_numpy(array).to(self._device) for array in arrays))
        return to_numpy(scored)


def item_table(
    network: UserEncoder,
    vocabulary: Vocabulary,
    columns: Mapping[str, Floats],
    neighbours: Mapping[str, NeighbourTable] | None = None,
    metadata: Sequence[bytes] = (),
) -> ItemTable:
    """Return the item table of a network as it stands."""
    with torch.no_grad():
        inputs, outputs = to_numpy(network.input_vectors()), to_numpy(network.item_vectors())
    return ItemTable(vocabulary, inputs, outputs, columns, metadata, neighbours or {})


def item_index(items: ItemTable) -> VectorIndex:
    """Return the index over the table's output vectors."""
    return VectorIndex.build(items.output_vectors)


def to_numpy(tensor: Tensor) -> Floats:
    """Return a contiguous float32 array on the CPU."""
    array: Floats = np.ascontiguousarray(tensor.detach().float().cpu().numpy())
    return array
