"""Criterion: the loss that a config names, with its negatives and weights."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from engine.errors import ConfigError
from training import losses
from training.full_softmax import full_softmax
from training.interactions import Interactions, counts, parts
from training.item_rows import ItemRows
from training.negatives import NegativeSampler
from training.objectives import Examples
from training.retriever_config import RetrieverConfig
from training.sampled_softmax import sampled_softmax

RATING_STEPS = 20


class Criterion:
    """Maps examples to one number; raises ConfigError where the data cannot give what the loss needs."""

    def __init__(self, config: RetrieverConfig, loss: str, interactions: Interactions, device: str) -> None:
        self._config = config
        self._loss = loss
        count = len(interactions.vocabulary)
        if (loss == "mse" or config.rare_ratings) and not interactions.has_ratings:
            raise ConfigError(f"retriever {config.source_name}: mse and rare_ratings need ratings; the data has none")
        popularity = torch.from_numpy(counts(interactions.columns.item_index, count)).to(device)
        self._sampler = NegativeSampler(config, popularity)
        self._item_weights = losses.balanced(popularity, config.rare_items)
        self._rating_weights = losses.balanced(_steps(interactions.columns.value), config.rare_ratings).to(device)

    def __call__(self, examples: Examples, item_vectors: Tensor | ItemRows) -> Tensor:
        """Return the weighted mean loss over the targets."""
        weights = self._item_weights[examples.targets]
        weights = weights * self._rating_weights[examples.values.mul(RATING_STEPS).round().long()]
        weights = weights / weights.sum().clamp(min=1e-9)
        if isinstance(item_vectors, Tensor) and self._loss == "softmax":
            return full_softmax(examples.queries, item_vectors, examples.owner, examples.targets, weights)
        if self._loss == "sampled_softmax" and examples.single and self._config.hard_pool == 1:
            return self._sampled(examples, item_vectors, weights)
        return (self._each(examples, item_vectors) * weights).sum()

    def _sampled(self, examples: Examples, item_vectors: Tensor | ItemRows, weights: Tensor) -> Tensor:
        drawn, oftener = self._sampler.draw(examples.targets)
        right, wrong = item_vectors[examples.targets], item_vectors[drawn]
        return sampled_softmax(examples.queries, right, wrong, oftener, (examples.targets, drawn), weights)

    def _each(self, examples: Examples, item_vectors: Tensor | ItemRows) -> Tensor:
        right = (examples.queries[examples.owner] * item_vectors[examples.targets]).sum(-1).float()
        if self._loss == "mse":
            return losses.mse(right, examples.values)
        wrong = self._wrong(examples, item_vectors)
        if self._loss == "sampled_softmax":
            return losses.sampled_softmax(right, wrong)
        if self._loss == "gbce":
            return losses.gbce(right, wrong, len(item_vectors), self._config.calibration)
        if self._loss == "ccl":
            return losses.ccl(right, wrong, self._config.margin, self._config.negative_weight)
        return losses.bpr(right, wrong) if self._loss == "bpr" else losses.bce(right, wrong)

    def _wrong(self, examples: Examples, item_vectors: Tensor | ItemRows) -> Tensor:
        drawn, oftener = self._sampler.draw(examples.targets)
        scores = (examples.queries @ item_vectors[drawn].T).float()
        if self._loss == "sampled_softmax":
            scores = scores - oftener
        scores = scores.masked_fill(_right_ones(examples, drawn), -torch.inf)
        if self._config.hard_pool > 1:
            scores = scores.topk(self._config.negatives, dim=1).values
        return scores if examples.single else scores[examples.owner]


def _steps(values: npt.NDArray[np.float32]) -> Tensor:
    """Return how often each step of the rating scale occurs."""
    found = torch.zeros(RATING_STEPS + 1, dtype=torch.long)
    for part in parts(len(values)):
        steps = torch.tensor(values[part]).mul(RATING_STEPS).round().long()
        found += torch.bincount(steps, minlength=len(found))
    return found


def _right_ones(examples: Examples, drawn: Tensor) -> Tensor:
    """Return which draws [Q,M] are among the query's own targets."""
    if examples.single:
        return drawn == examples.targets[:, None]
    own = torch.zeros(len(examples.queries), len(drawn), dtype=torch.bool, device=drawn.device)
    target, draw = (examples.targets[:, None] == drawn).nonzero(as_tuple=True)
    own[examples.owner[target], draw] = True
    return own
