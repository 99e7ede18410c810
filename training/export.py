"""Export: torch networks become ONNX files whose sizes of batch, history and candidate list are free."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.export import Dim

from engine.errors import TrainingError
from models import RankerNetwork, UserEncoder
from models.content_network import ContentNetwork
from models.item_tower import ItemTower
from training.torch_stages import input_names

OPSET = 23


def export_encoder(network: UserEncoder) -> bytes:
    """Return the ONNX file of vectors [B,L,D], values, ages, lengths -> user vectors [B,E]."""
    batch, length = Dim.DYNAMIC, Dim.DYNAMIC
    width = network.input_vectors().shape[1]
    example = (torch.randn(2, 3, width), torch.rand(2, 3), torch.rand(2, 3), torch.tensor([3, 2]))
    shapes = ({0: batch, 1: length}, {0: batch, 1: length}, {0: batch, 1: length}, {0: batch})
    names = ("vectors", "values", "ages", "lengths")
    return onnx_of(network, example, names, shapes, ["user_vectors"])


def export_ranker(network: RankerNetwork, width: int, features: int) -> bytes:
    """Return the ONNX file of user_vectors [B,E], candidate_vectors [B,K,E], features [B,K,F] -> scores [B,K].

    A network that reads the history takes history_vectors [B,H,E], values, ages and lengths too, and gives attention.
    """
    free: list[dict[int, object]] = [
        {0: Dim.DYNAMIC},
        {0: Dim.DYNAMIC, 1: Dim.DYNAMIC},
        {0: Dim.DYNAMIC, 1: Dim.DYNAMIC},
    ]
    example = [torch.randn(2, width), torch.randn(2, 3, width), torch.randn(2, 3, features)]
    outputs = ["scores"]
    if network.reads_history:
        example += [torch.randn(2, 4, width), torch.rand(2, 4), torch.rand(2, 4), torch.tensor([4, 2])]
        free += [{0: Dim.DYNAMIC, 1: Dim.DYNAMIC}] * 3 + [{0: Dim.DYNAMIC}]
        outputs.append("attention")
    return onnx_of(network, tuple(example), input_names(network), tuple(free), outputs)


def export_content(
    network: ContentNetwork, sizes: Mapping[str, Sequence[int]], dtypes: Mapping[str, torch.dtype]
) -> bytes:
    """Return the ONNX file of the arrays that the network reads (sizes without the batch) -> content_vectors [B,V]."""
    example = tuple(torch.zeros(2, *sizes[name], dtype=dtypes[name]) for name in network.inputs)
    shapes: dict[str, object] = {"arrays": tuple({0: Dim.DYNAMIC} for _ in example)}
    return onnx_of(network, example, network.inputs, shapes, ["content_vectors"])


def export_tower(tower: ItemTower) -> bytes:
    """Return the ONNX file of content_vectors [B,V] -> input_vectors [B,D], output_vectors [B,E]."""
    example = (torch.randn(2, tower.inputs.in_features),)
    return onnx_of(tower, example, ["content_vectors"], ({0: Dim.DYNAMIC},), ["input_vectors", "output_vectors"])


def onnx_of(
    network: nn.Module,
    example: tuple[Tensor, ...],
    names: Sequence[str],
    shapes: tuple[dict[int, object], ...] | dict[str, object],
    outputs: Sequence[str],
) -> bytes:
    """Return the ONNX file of a network; `shapes` say which dimensions of the example are free."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        # The exporter warns of its own internals; what it wrote is compared with the network by the caller's probe.
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            network.eval().cpu(),
            example,
            None,
            input_names=list(names),
            output_names=list(outputs),
            dynamic_shapes=shapes,
            dynamo=True,
            opset_version=OPSET,
            verbose=False,
        )
    if program is None:
        raise TrainingError("torch gave no ONNX program; install the torch and onnxscript of pyproject.toml")
    encoded: bytes = program.model_proto.SerializeToString()
    return encoded
