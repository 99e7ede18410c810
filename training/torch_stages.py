"""TorchEncoder and TorchRanker: networks still in training, behind the engine's own contracts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from engine.features import Candidates
from engine.index import VectorIndex
from engine.item_vectors import ItemVectors
from engine.items import ItemTable
from engine.ranking import Ranked, ranker_inputs
from engine.vector_source import VectorSource
from engine.window import HistoryBatch
from models import RankerNetwork, UserEncoder
from training.retriever_config import RetrieverConfig

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

    def __init__(
        self,
        network: RankerNetwork,
        features: Sequence[str],
        items: ItemTable,
        vectors: ItemVectors,
        device: str,
    ) -> None:
        self._network = network.eval()
        self._features = features
        self._items = items
        self._vectors = vectors
        self._device = device

    @torch.no_grad()
    def rank(self, candidates: Candidates) -> Ranked:
        """Score each candidate."""
        names = input_names(self._network)
        given = ranker_inputs(names, self._features, self._items, self._vectors, candidates)
        arrays = (torch.from_numpy(given[name]).to(self._device) for name in names)
        ranked = self._network(*arrays)
        return Ranked(*(to_numpy(each) for each in ranked)) if isinstance(ranked, tuple) else Ranked(to_numpy(ranked))


def input_names(network: RankerNetwork | type[RankerNetwork]) -> tuple[str, ...]:
    """Return the names of what a ranker reads, in the order of its arguments."""
    names = ("user_vectors", "candidate_vectors", "features")
    return (*names, "history_vectors", "values", "ages", "lengths") if network.reads_history else names


def item_vectors(network: UserEncoder) -> ItemVectors:
    """Return the item vectors of a network as it stands."""
    with torch.no_grad():
        return ItemVectors(to_numpy(network.input_vectors()), to_numpy(network.item_vectors()))


def torch_source(network: UserEncoder, config: RetrieverConfig, device: str) -> VectorSource:
    """Return the source that a network in training gives."""
    vectors = item_vectors(network)
    # A batch of users is searched exactly in less time than an index takes to build.
    index = VectorIndex.build(np.asarray(vectors.outputs), exact_up_to=len(vectors.outputs))
    return VectorSource(config.source_name, vectors, TorchEncoder(network, device), index, config.depth)


def to_numpy(tensor: Tensor) -> Floats:
    """Return a contiguous float32 array on the CPU."""
    array: Floats = np.ascontiguousarray(tensor.detach().float().cpu().numpy())
    return array
