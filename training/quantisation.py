"""Quantisation: the weights of a network in one byte each."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from engine.network_check import check_network

FEWEST = 256
"""Smaller arrays stay: beside the rest they are nothing, and biases need their digits."""
LARGEST = 127


def int8_network(encoded: bytes, name: str) -> bytes:
    """Return an ONNX network without the exporter's notes, its matrices as int8 with a scale for each column.

    They become float32 when the network is opened, so it computes as before. To round what they are multiplied with too
    (dynamic quantisation) would take one scale for all histories of a batch: an answer would depend on the others.
    Raises BundleError if the service would not run what came out.
    """
    model = onnx.load_from_string(encoded)
    graph = model.graph
    for tensor in list(graph.initializer):
        weights = numpy_helper.to_array(tensor)
        if weights.dtype == np.float32 and weights.ndim > 1 and weights.size >= FEWEST:
            whole, scales = _rounded(weights)
            graph.initializer.remove(tensor)
            graph.initializer.append(numpy_helper.from_array(whole, f"{tensor.name}.int8"))
            graph.initializer.append(numpy_helper.from_array(scales, f"{tensor.name}.scale"))
            inputs = [f"{tensor.name}.int8", f"{tensor.name}.scale"]
            # Before all that reads it.
            graph.node.insert(0, helper.make_node("DequantizeLinear", inputs, [tensor.name], axis=weights.ndim - 1))
    noted_ones: list[Any] = [model, graph, *graph.node]
    for noted in noted_ones:
        del noted.metadata_props[:]
        noted.doc_string = ""
    smaller: bytes = model.SerializeToString()
    check_network(smaller, f"{name} as int8")
    return smaller


def _rounded(weights: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """Return weights [..., C] as whole numbers, and the scale of each column [C]."""
    largest = np.abs(weights).reshape(-1, weights.shape[-1]).max(axis=0)
    scales = np.where(largest > 0, largest / LARGEST, 1.0).astype(np.float32)
    return np.rint(weights / scales).astype(np.int8), scales
