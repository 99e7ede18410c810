"""Networks with random weights and their ONNX files, each exported once, for exporting takes seconds."""

from __future__ import annotations

from functools import cache

import torch
from torch import nn

from models import RANKERS, RETRIEVERS, RankerNetwork, UserEncoder
from training.export import export_encoder, export_ranker

ITEMS = 5_003
WIDTH, FEATURES = 4, 4


@cache
def encoder(name: str) -> UserEncoder:
    """A network with its default sizes for a catalogue of 5,003 items; no weight stands at a special place."""
    torch.manual_seed(0)
    network = RETRIEVERS[name](ITEMS)
    _shake(network, 0.05)
    return network.eval()


@cache
def exported_encoder(name: str) -> bytes:
    return export_encoder(encoder(name))


@cache
def ranker(name: str) -> RankerNetwork:
    """A ranker for vectors of width 4 and four features."""
    torch.manual_seed(3)
    network = RANKERS[name](WIDTH, FEATURES)
    _shake(network, 0.3)
    return network.eval()


@cache
def exported_ranker(name: str) -> bytes:
    return export_ranker(ranker(name), WIDTH, FEATURES)


@torch.no_grad()
def _shake(network: nn.Module, deviation: float) -> None:
    for parameter in network.parameters():
        parameter.add_(deviation * torch.randn_like(parameter))
