"""DeepContent: text, images and sounds, read by networks that learn from scratch who likes the item."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.network_committee import NetworkCommittee
from training.collaborative_space import CollaborativeSpace
from training.content_config import ContentConfig
from training.curve import CurvePoint
from training.fit import Stage, TrainedStage, fit
from training.optimiser import AveragedOptimiser
from training.rehearsal import Act, Rehearsal

LARGE_BATCH = 256
TEMPERATURE = 0.1
RANKING = "NDCG@10"


@dataclass(frozen=True, slots=True)
class ReadContent:
    """Networks that read all items, and what the one that had not met an item says of it [N,V+1] (zeros if absent)."""

    network: NetworkCommittee
    honest: Tensor
    curve: list[CurvePoint]


class DeepContent:
    """Trains one network on the array of one part, [N,…] with a row for each item, `present` [N] or not."""

    def __init__(
        self,
        config: ContentConfig,
        space: CollaborativeSpace,
        rehearsal: Rehearsal,
        make_stage: Callable[[str], Stage],
    ) -> None:
        self._config = config
        self._space = space
        self._rehearsal = rehearsal
        self._make_stage = make_stage

    def can_learn(self, present: Tensor) -> bool:
        """Return whether each act leaves a batch of items to learn from."""
        return min(int(present[act.taught].sum()) for act in self._rehearsal.acts) > 1

    def run(self, name: str, make: Callable[[], nn.Module], array: Tensor, present: Tensor) -> ReadContent:
        """Train one network for each act, without its items and validating on them; together they are the committee."""
        networks, turns, centres, curve = [], [], [], list[CurvePoint]()
        for number, act in enumerate(self._rehearsal.acts, start=1):
            taught, held_out = act.taught[present[act.taught]], act.held_out[present[act.held_out]]
            validate = functools.partial(self._judged, act, array, held_out)
            trained = self._train(f"{name}, act {number}", make, array, taught, act.space, validate)
            networks.append(trained.network.eval())
            turns.append(self._turn(act))
            # Two networks differ in what they say of everything; only how items differ for them can be compared.
            centres.append((said_of(networks[-1], array, taught) @ turns[-1].T).mean(dim=0))
            curve += trained.curve
        committee = NetworkCommittee(networks, torch.stack(turns), torch.stack(centres)).eval()
        return ReadContent(committee, self._honest(committee, array, present), curve)

    @torch.no_grad()
    def _honest(self, committee: NetworkCommittee, array: Tensor, present: Tensor) -> Tensor:
        honest = torch.zeros(len(array), self._space.users.shape[1] + 1)
        for number, act in enumerate(self._rehearsal.acts):
            held_out = act.held_out[present[act.held_out]]
            honest[held_out] = said_of(functools.partial(committee.member, number), array, held_out)
        return honest

    def _train(
        self,
        name: str,
        make: Callable[[], nn.Module],
        array: Tensor,
        items: Tensor,
        space: CollaborativeSpace,
        validate: Callable[[nn.Module], dict[str, float]],
    ) -> TrainedStage[nn.Module]:
        config, stage = self._config, self._make_stage(name)
        network = make()
        steps = -(-len(items) // config.items_per_batch)
        optimiser = AveragedOptimiser(network, config, steps * config.epochs)
        epoch = functools.partial(self._epoch, network, optimiser, array, items, space)
        return fit(stage, config, config.epochs, optimiser, epoch, validate)

    def _judged(self, act: Act, array: Tensor, held_out: Tensor, network: nn.Module) -> dict[str, float]:
        return {RANKING: self._rehearsal.judge(act, said_of(network.eval(), array, held_out), held_out)}

    def _turn(self, act: Act) -> Tensor:
        """Return what leads vectors and bias [V+1] of an act to the space of all events [V+1,V+1]: the same scores, as
        nearly as can be.
        """
        # The dimensions of users [U,V] are orthogonal, each of length sqrt(U).
        turned = self._space.users.T @ act.space.users / len(act.space.users)
        turn = torch.eye(len(turned) + 1)
        turn[:-1, :-1] = turned
        return turn

    def _epoch(
        self,
        network: nn.Module,
        optimiser: AveragedOptimiser[nn.Module],
        array: Tensor,
        items: Tensor,
        space: CollaborativeSpace,
    ) -> float:
        network.train()
        total = 0.0
        for batch in torch.split(items[torch.randperm(len(items))], self._config.items_per_batch):
            # The statistics of a batch of one are none.
            if len(batch) > 1:
                said = network(varied(array[batch]))
                total += optimiser.step(self._loss(said, batch, space)) * len(batch)
        return total / len(items)

    def _loss(self, said: Tensor, items: Tensor, space: CollaborativeSpace) -> Tensor:
        vectors, biases = said[:, :-1], said[:, -1:]
        if self._config.loss == "contrastive":
            near = functional.normalize(vectors, dim=1) @ functional.normalize(space.items[items], dim=1).T
            return functional.cross_entropy(near / TEMPERATURE, torch.arange(len(items)))
        users = torch.randperm(len(space.users))[: self._config.users]
        likes = space.likes(items, users).clamp(max=1.0)
        share = float(space.weights.sum()) / (len(space.users) * len(space.items))
        # An untrained network begins with the share of pairs that are likes.
        logits = vectors @ space.users[users].T + biases + math.log(max(share, 1e-6))
        return functional.binary_cross_entropy_with_logits(logits, likes, reduction="sum") / likes.sum().clamp(min=1.0)


def varied(batch: Tensor) -> Tensor:
    """Return pictures [B,3,H,W] shifted by up to a tenth and mirrored at random; text and spectrograms as they are."""
    if batch.ndim != 4 or batch.shape[1] != 3:
        return batch
    shifts = [int(torch.randint(-(side // 10), side // 10 + 1, ())) for side in batch.shape[2:]]
    mirrored = torch.where((torch.rand(len(batch)) < 0.5)[:, None, None, None], batch.flip(3), batch)
    return mirrored.roll(shifts, (2, 3))


@torch.no_grad()
def said_of(network: Callable[[Tensor], Tensor], array: Tensor, items: Tensor) -> Tensor:
    """Return what a network that is not learning says of some items [B,F]."""
    return torch.cat([network(array[part]) for part in torch.split(items, LARGE_BATCH)])
