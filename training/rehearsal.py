"""Rehearsal: items that nobody has met, played with items that are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from training.collaborative_space import CollaborativeSpace
from training.ridge import Ridge, weighed

FACTORS = (0.5, 2.0)
LEAST_GAIN = 1.003


@dataclass(frozen=True, slots=True)
class Act:
    """Some items [H] are held out; the space is that of the others' events."""

    taught: Tensor
    held_out: Tensor
    space: CollaborativeSpace


@dataclass(frozen=True, slots=True)
class Choice:
    """What ranks unknown items best: a penalty and the weights of the parts, with the mean NDCG@10."""

    penalty: float
    part_weights: Mapping[str, float]
    score: float


class Rehearsal:
    """Each item is held out in one act. `likes` has all events, and judges."""

    def __init__(self, likes: CollaborativeSpace, folds: int) -> None:
        self._likes = likes
        everything = torch.arange(len(likes.items))
        order = torch.randperm(len(everything), generator=torch.Generator().manual_seed(0))
        held_out = [part.sort().values for part in order.chunk(folds)]
        self.acts = [Act(everything[~torch.isin(everything, part)], part, likes.without(part)) for part in held_out]

    def judge(self, act: Act, vectors: Tensor, items: Tensor) -> float:
        """Return NDCG@10 of held-out items by vectors [B,V] (or [B,V+1] with a bias) in the space of their act."""
        return self._likes.ranking(vectors, items, act.space.users)

    def best_penalty(
        self, kernels: Mapping[str, Tensor], penalties: Sequence[float], part_weights: Mapping[str, float]
    ) -> Choice:
        """Return the penalty that ranks best, each kernel [N,N] being of one part."""
        scores = {penalty: self._score(weighed(kernels, part_weights), penalty) for penalty in penalties}
        best = max(scores, key=lambda penalty: scores[penalty])
        return Choice(best, part_weights, scores[best])

    def best(
        self, kernels: Mapping[str, Tensor], penalties: Sequence[float], part_weights: Mapping[str, float]
    ) -> Choice:
        """Search the weights too, one part after the other, as long as one of FACTORS ranks better."""
        best, improved = self.best_penalty(kernels, penalties, part_weights), len(kernels) > 1
        while improved:
            improved = False
            for name, factor in product(kernels, FACTORS):
                tried = {**best.part_weights, name: factor * best.part_weights.get(name, 1.0)}
                choice = self.best_penalty(kernels, penalties, tried)
                if choice.score > best.score * LEAST_GAIN:
                    best, improved = choice, True
        return best

    def _score(self, kernel: Tensor, penalty: float) -> float:
        scores = [self._act_score(kernel, penalty, act) for act in self.acts]
        return sum(scores) / len(scores)

    def _act_score(self, kernel: Tensor, penalty: float, act: Act) -> float:
        ridge = Ridge.of(kernel[act.taught][:, act.taught], act.space.items[act.taught], penalty)
        return self.judge(act, ridge.predicted(kernel[act.held_out][:, act.taught]), act.held_out)
