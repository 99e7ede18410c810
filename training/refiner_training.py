"""RefinerTraining: NCF learns to correct predicted ratings where the first network had not seen them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from engine.ratings import NetworkRatings, RatingPairs
from models import RANKERS, RankerNetwork
from training.config import TrainingConfig
from training.fit import Stage, TrainedStage, fit
from training.optimiser import AveragedOptimiser
from training.rating_evaluation import RatingEvaluation
from training.torch_stages import Floats, to_numpy


@dataclass(frozen=True, slots=True)
class RatedPairs:
    """T ratings with what the refiner reads: user_vectors [T,E], item_vectors [T,E], features [T,F], values [T]."""

    user_vectors: Tensor
    item_vectors: Tensor
    features: Tensor
    values: Tensor

    @classmethod
    def of(cls, predictor: NetworkRatings, hidden: RatingEvaluation, scale: tuple[float, float]) -> RatedPairs:
        """Take the ratings that the predictor has not seen, as the service would see them."""
        low, high = scale
        users, items, features, values = [], [], [], []
        for history, indices, ratings in zip(hidden.histories, hidden.indices, hidden.ratings, strict=True):
            pairs = predictor.pairs(history, indices) if (indices >= 0).all() else None
            if pairs is not None:
                users.append(np.repeat(pairs.user_vector[None], len(indices), axis=0))
                items.append(pairs.item_vectors)
                features.append(pairs.features)
                values.append((ratings - low) / (high - low))
        arrays = (np.concatenate(each).astype(np.float32) for each in (users, items, features, values))
        return cls(*(torch.from_numpy(array) for array in arrays))


class TorchRefiner:
    """A Refiner around a torch network."""

    def __init__(self, network: RankerNetwork, device: str) -> None:
        self._network = network.eval()
        self._device = device

    @torch.no_grad()
    def refine(self, pairs: RatingPairs) -> Floats:
        """Return better values in 0..1 [K]."""
        arrays = (pairs.user_vector, pairs.item_vectors, pairs.features)
        inputs = (torch.from_numpy(array[None]).to(self._device) for array in arrays)
        refined: Floats = to_numpy(self._network(*inputs))[0]
        return refined


class RefinerTraining:
    """Trains one refiner on rated pairs."""

    def __init__(self, config: TrainingConfig) -> None:
        self._device = config.device
        self._config = config.ratings.refiner

    def run(
        self, pairs: RatedPairs, validate: Callable[[RankerNetwork], dict[str, float]] | None, stage: Stage
    ) -> TrainedStage[RankerNetwork]:
        """Train by the squared error."""
        config = self._config
        network = RANKERS[config.model](pairs.user_vectors.shape[1], pairs.features.shape[1], **config.network)
        network.standardise(pairs.features.mean(0), pairs.features.std(0))
        network = network.to(self._device)
        steps = config.epochs * -(-len(pairs.values) // config.pairs_per_batch)
        optimiser = AveragedOptimiser(network, config, steps)
        return fit(stage, config, config.epochs, optimiser, lambda: self._epoch(network, optimiser, pairs), validate)

    def _epoch(self, network: RankerNetwork, optimiser: AveragedOptimiser[RankerNetwork], pairs: RatedPairs) -> float:
        network.train()
        total = 0.0
        for rows in torch.split(torch.randperm(len(pairs.values)), self._config.pairs_per_batch):
            items, features = pairs.item_vectors[rows, None], pairs.features[rows, None]
            inputs = (each.to(self._device) for each in (pairs.user_vectors[rows], items, features))
            loss = (network(*inputs)[:, 0] - pairs.values[rows].to(self._device)).square().mean()
            total += optimiser.step(loss) * len(rows)
        return total / len(pairs.values)
