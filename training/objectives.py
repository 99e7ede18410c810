"""Objectives: what of a history an encoder sees in training, and what it must predict from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from models import SequenceEncoder, UserEncoder
from training.retriever_config import RetrieverConfig


@dataclass(frozen=True, slots=True)
class Histories:
    """A batch on the device: indices [B,L], values [B,L], ages [B,L], lengths [B]; right-padded."""

    indices: Tensor
    values: Tensor
    ages: Tensor
    lengths: Tensor

    @property
    def real(self) -> Tensor:
        """Which places hold an event [B,L]."""
        return torch.arange(self.indices.shape[1], device=self.indices.device) < self.lengths[:, None]

    def kept(self, keep: Tensor, padding_index: int) -> Histories:
        """Return only the events where `keep` [B,L] is set, moved together."""
        lengths = keep.sum(dim=1)
        order = (~keep).to(torch.uint8).argsort(dim=1, stable=True)[:, : int(lengths.max())]
        real = torch.arange(order.shape[1], device=order.device) < lengths[:, None]
        indices = self.indices.gather(1, order).masked_fill(~real, padding_index)
        values, ages = (array.gather(1, order) * real for array in (self.values, self.ages))
        newest = ages.gather(1, (lengths - 1).clamp(min=0)[:, None])
        return Histories(indices, values, (ages - newest) * real, lengths)

    def inputs(self, network: UserEncoder) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return what the network reads: vectors [B,L,D], values, ages, lengths."""
        return network.input_rows(self.indices), self.values, self.ages, self.lengths


@dataclass(frozen=True, slots=True)
class Examples:
    """queries [Q,E] and what they must find: target items [T], each of the query `owner` [T], with its value [T]."""

    queries: Tensor
    owner: Tensor
    targets: Tensor
    values: Tensor

    @property
    def single(self) -> bool:
        """Whether each query has exactly one target, in order."""
        return len(self.owner) == len(self.queries)


Objective = Callable[[UserEncoder, Histories, RetrieverConfig], Examples]


def next_event(network: UserEncoder, histories: Histories, _config: RetrieverConfig) -> Examples:
    """After each event, predict the next one (Kang & McAuley, 2018)."""
    assert isinstance(network, SequenceEncoder)  # noqa: S101 (the config has checked it)
    # The last event of a row has no successor: it is a target only.
    has_next = histories.real[:, 1:]
    indices, values, ages = (array[:, :-1] for array in (histories.indices, histories.values, histories.ages))
    read = Histories(indices, values, ages, histories.lengths - 1)
    queries = network.states(*read.inputs(network))[has_next]
    owner = torch.arange(len(queries), device=queries.device)
    return Examples(queries, owner, histories.indices[:, 1:][has_next], histories.values[:, 1:][has_next])


def following(network: UserEncoder, histories: Histories, config: RetrieverConfig) -> Examples:
    """Cut each history somewhere, and predict the next events from those before the cut."""
    cuts = _cuts(histories)
    prefix = _before(histories, cuts, network)
    return _found(network(*prefix.inputs(network)), histories, _after(histories, cuts, config.following))


def masked(network: UserEncoder, histories: Histories, config: RetrieverConfig) -> Examples:
    """Hide a random part of the events, and predict them from the others (leave-some-out)."""
    hidden = _hidden(histories, config.mask_rate)
    rest = histories.kept(histories.real & ~hidden, len(network.item_vectors()))
    return _found(network(*rest.inputs(network)), histories, hidden)


def reconstruction(network: UserEncoder, histories: Histories, config: RetrieverConfig) -> Examples:
    """Hide a random part of the events, and predict all of them: a denoising autoencoder (Vincent et al., 2008)."""
    hidden = _hidden(histories, config.mask_rate) if config.mask_rate else torch.zeros_like(histories.real)
    rest = histories.kept(histories.real & ~hidden, len(network.item_vectors()))
    return _found(network(*rest.inputs(network)), histories, histories.real)


def sequence_reconstruction(network: UserEncoder, histories: Histories, config: RetrieverConfig) -> Examples:
    """Encode the events before a cut; from the bottleneck alone decode them again, and predict those that follow."""
    cuts = _cuts(histories)
    prefix = _before(histories, cuts, network)
    inputs = prefix.inputs(network)
    user_vectors = network(*inputs)
    decoded: Tensor = network.reconstructions(user_vectors, *inputs)  # type: ignore[operator]
    rebuilt = Examples(
        decoded[prefix.real],
        torch.arange(int(prefix.lengths.sum()), device=decoded.device),
        prefix.indices[prefix.real],
        prefix.values[prefix.real],
    )
    return _both(rebuilt, _found(user_vectors, histories, _after(histories, cuts, config.following)))


OBJECTIVES: dict[str, Objective] = {
    "next_event": next_event,
    "following": following,
    "masked": masked,
    "reconstruction": reconstruction,
    "sequence_reconstruction": sequence_reconstruction,
}


def _found(queries: Tensor, histories: Histories, wanted: Tensor) -> Examples:
    return Examples(queries, wanted.nonzero()[:, 0], histories.indices[wanted], histories.values[wanted])


def _both(first: Examples, second: Examples) -> Examples:
    owner = torch.cat((first.owner, second.owner + len(first.queries)))
    pairs = zip((first.queries, first.targets, first.values), (second.queries, second.targets, second.values))  # noqa: B905
    queries, targets, values = (torch.cat(pair) for pair in pairs)
    return Examples(queries, owner, targets, values)


def _cuts(histories: Histories) -> Tensor:
    """Return for each row how many events stand before the cut, 1..length-1."""
    share = torch.rand(len(histories.lengths), device=histories.lengths.device)
    return 1 + (share * (histories.lengths - 1)).long()


def _before(histories: Histories, cuts: Tensor, network: UserEncoder) -> Histories:
    places = torch.arange(histories.indices.shape[1], device=cuts.device)
    return histories.kept(places < cuts[:, None], len(network.item_vectors()))


def _after(histories: Histories, cuts: Tensor, count: int) -> Tensor:
    places = torch.arange(histories.indices.shape[1], device=cuts.device)
    return histories.real & (places >= cuts[:, None]) & (places < cuts[:, None] + count)


def _hidden(histories: Histories, rate: float | tuple[float, float]) -> Tensor:
    """Draw the events to hide: about `rate` of them, at least one, and never all."""
    low, high = rate if isinstance(rate, tuple) else (rate, rate)
    rates = low + (high - low) * torch.rand(len(histories.lengths), device=histories.lengths.device)
    noise = torch.rand(histories.indices.shape, device=histories.indices.device).masked_fill(~histories.real, 2.0)
    places = noise.argsort(dim=1).argsort(dim=1)
    wanted = torch.binomial(histories.lengths.float(), rates)
    return places < wanted.long().clamp(min=1).minimum(histories.lengths - 1)[:, None]
