"""Export: torch networks become ONNX files whose sizes of batch, history and candidate list are free."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.export import Dim

from engine.errors import TrainingError
from models import UserEncoder

OPSET = 18


def export_encoder(network: UserEncoder) -> bytes:
    """Return the ONNX file of vectors [B,L,D], values, ages, lengths -> user vectors [B,E]."""
    batch, length = Dim.DYNAMIC, Dim.DYNAMIC
    width = network.input_vectors().shape[1]
    example = (torch.randn(2, 3, width), torch.rand(2, 3), torch.rand(2, 3), torch.tensor([3, 2]))
    shapes = ({0: batch, 1: length}, {0: batch, 1: length}, {0: batch, 1: length}, {0: batch})
    names = ("vectors", "values", "ages", "lengths")
    return _export(network, example, names, shapes, "user_vectors")


def export_ranker(network: nn.Module, width: int, features: int) -> bytes:
    """Return the ONNX file of user_vectors [B,E], candidate_vectors [B,K,E], features [B,K,F] -> scores [B,K]."""
    example = (torch.randn(2, width), torch.randn(2, 3, width), torch.randn(2, 3, features))
    shapes = ({0: Dim.DYNAMIC}, {0: Dim.DYNAMIC, 1: Dim.DYNAMIC}, {0: Dim.DYNAMIC, 1: Dim.DYNAMIC})
    return _export(network, example, ("user_vectors", "candidate_vectors", "features"), shapes, "scores")


def _export(
    network: nn.Module,
    example: tuple[Tensor, ...],
    names: Sequence[str],
    shapes: tuple[dict[int, object], ...],
    output: str,
) -> bytes:
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        # The exporter warns of its own internals; what it wrote is compared with the network by the caller's probe.
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            network.eval().cpu(),
            example,
            None,
            input_names=list(names),
            output_names=[output],
            dynamic_shapes=shapes,
            dynamo=True,
            opset_version=OPSET,
            verbose=False,
        )
    if program is None:
        raise TrainingError("torch gave no ONNX program; install the torch and onnxscript of pyproject.toml")
    encoded: bytes = program.model_proto.SerializeToString()
    return encoded
