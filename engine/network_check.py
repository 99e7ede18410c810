"""NetworkCheck: what an ONNX file says, found plain before ONNX Runtime gets it.

A plain network computes its outputs from its inputs and from numbers in the file: no other files, no code of others, no
loops, nothing random, no text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from math import prod
from typing import Any

from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from engine.errors import BundleError
from engine.network_division import NetworkDivision
from engine.network_format import Model
from engine.unreadable import unreadable

IR_VERSIONS = range(8, 14)
OPSETS = range(17, 25)
MOST_NODES = 10_000
MOST_DIMENSIONS = 8
MOST_SPREAD = 1 << 26
"""How many numbers a shape that stands in the file may ask for."""
# What the networks of models/ and the usual sentence encoders are exported as.
ARITHMETIC = {"Abs", "Add", "Clip", "Cos", "CumSum", "Div", "Erf", "Exp", "Log", "Max", "Min", "Mul", "Neg", "Pow"}
ARITHMETIC |= {"ReduceL2", "ReduceMax", "ReduceMean", "ReduceSum", "Sin", "Sqrt", "Sub"}
LOGIC = {"And", "Equal", "Greater", "GreaterOrEqual", "Less", "Not", "Where"}
LAYERS = {"AveragePool", "BatchNormalization", "Conv", "GRU", "Gemm", "LayerNormalization", "MatMul", "Relu", "Softmax"}
LAYERS |= {"Attention", "Gelu", "RotaryEmbedding", "Tanh"}
# What weights of one byte go through. None that rounds what comes in: it would do so for a whole batch at once.
LAYERS |= {"DequantizeLinear"}
LAYOUT = {"Cast", "Concat", "Expand", "Gather", "GatherElements", "GatherND", "Pad", "Range", "Reshape", "Shape"}
LAYOUT |= {"Slice", "Split", "Squeeze", "Transpose", "Trilu", "Unsqueeze"}
OPERATORS = frozenset(ARITHMETIC | LOGIC | LAYERS | LAYOUT)
EXPAND = "Expand"
"""The operator that makes as many numbers as its second input says."""
ITEM_BYTES = {1: 4, 3: 1, 6: 4, 7: 8, 9: 1, 11: 8}
"""Of float32, int8, int32, int64, bool and float64, by their numbers in ONNX."""
ATTRIBUTE_TYPES = {1, 2, 3, 7}
"""A number, a whole number, a word, several whole numbers."""
OF_DIMENSIONS = {"axis", "start", "end"}
"""Attributes that count dimensions, from behind if they are negative."""
MOST_NUMBERS, MOST_NUMBER = 64, 65_536
"""Of whole numbers in another attribute, and how large each may be."""
FROM_ONE = {"dilations", "group", "hidden_size", "kernel_shape", "num_outputs", "strides"}
FROM_ONE |= {"kv_num_heads", "num_heads", "q_num_heads"}
"""Attributes that ONNX Runtime divides by, or steps with."""
INT64 = 7
WHOLE_NUMBER = 2
"""The type of an attribute."""
KNOWN = {
    ("Model", 20): "training steps",
    ("Model", 25): "functions of its own",
    ("Graph", 14): "quantisation",
    ("Graph", 15): "sparse numbers",
    ("Attribute", 5): "numbers inside a node",
    ("Attribute", 6): "a graph inside a node",
    ("Attribute", 11): "graphs inside a node",
    ("Attribute", 22): "sparse numbers",
    ("Tensor", 13): "data in another file",
    ("Tensor", 14): "data in another file",
}
"""What of ONNX is refused, by the names that people know; anything else that is unknown is refused by its number."""


def check_network(encoded: bytes, name: str) -> None:
    """Raise BundleError that names the file and the operator unless the ONNX file is a plain network."""
    with unreadable(name, "train again"):
        model = Model.FromString(encoded)
        _check_known(model, name)
        _check_version(model, name)
        graph = model.graph
        if len(graph.node) > MOST_NODES:
            raise BundleError(f"{name} has {len(graph.node)} operators, at most {MOST_NODES} are run; train again")
        constants = {tensor.name: tensor for tensor in graph.initializer}
        for tensor in graph.initializer:
            _check_tensor(tensor, f"{name}: {tensor.name!r:.80}")
        _check_names(graph, name)
        division = NetworkDivision(graph, constants)
        for node in graph.node:
            place = f"{name}: operator {node.op_type!r:.80}"
            _check_node(node, place, constants)
            division.check(node, place)


def _check_version(model: Any, name: str) -> None:  # noqa: ANN401 (its class is made at import)
    opsets = [(each.domain, each.version) for each in model.opset_import]
    if model.ir_version not in IR_VERSIONS or len(opsets) != 1 or opsets[0][0] != "" or opsets[0][1] not in OPSETS:
        raise BundleError(
            f"{name} is ONNX {model.ir_version} with the operators {opsets!r:.200}, not of {IR_VERSIONS.start} to"
            f" {IR_VERSIONS.stop - 1} with version {OPSETS.start} to {OPSETS.stop - 1} of ONNX's own; train again"
        )


def _check_names(graph: Any, name: str) -> None:  # noqa: ANN401
    """Of two values of one name, ONNX Runtime may take the one that was not looked at."""
    names = [each.name for each in (*graph.initializer, *graph.input)]
    names += [each for node in graph.node for each in node.output if each]
    if len(names) != len(set(names)):
        twice = next(each for each, count in Counter(names).items() if count > 1)
        raise BundleError(f"{name} has two values called {twice!r:.80}; train again")


def _check_node(node: Any, place: str, constants: dict[str, Any]) -> None:  # noqa: ANN401
    if node.domain != "" or node.op_type not in OPERATORS:
        raise BundleError(f"{place} of {node.domain!r:.80} is none that liverec runs; train again")
    if len({each.name for each in node.attribute}) != len(node.attribute):
        raise BundleError(f"{place} has two attributes of one name; train again")
    for attribute in node.attribute:
        if attribute.type not in ATTRIBUTE_TYPES:
            raise BundleError(f"{place}: attribute {attribute.name!r:.80} is no number or word; train again")
        _check_whole_numbers(attribute, place)
    if node.op_type == EXPAND and len(node.input) > 1:
        _check_spread(constants.get(node.input[1]), place)


def _check_whole_numbers(attribute: Any, place: str) -> None:  # noqa: ANN401
    """ONNX Runtime ends the process for some that are out of range, where it should refuse the network."""
    numbers = [attribute.i, *attribute.ints]
    if attribute.name == "perm":
        is_right = len(numbers) <= MOST_DIMENSIONS + 1 and sorted(attribute.ints) == list(range(len(attribute.ints)))
    elif attribute.name in OF_DIMENSIONS:
        is_right = all(-MOST_DIMENSIONS <= each <= MOST_DIMENSIONS for each in numbers)
    else:
        is_right = len(numbers) <= MOST_NUMBERS and all(0 <= each <= MOST_NUMBER for each in numbers)
    if attribute.name in FROM_ONE:
        is_right &= all(each >= 1 for each in (numbers[:1] if attribute.type == WHOLE_NUMBER else numbers[1:]))
    if not is_right:
        raise BundleError(f"{place}: {attribute.name!r:.80} is {numbers!r:.100}, out of range; train again")


def _check_tensor(tensor: Any, place: str) -> None:  # noqa: ANN401
    wanted = ITEM_BYTES.get(tensor.data_type)
    if wanted is None:
        raise BundleError(f"{place} is of the ONNX type {tensor.data_type}, which is no plain number; train again")
    if len(tensor.dims) > MOST_DIMENSIONS or min(tensor.dims, default=0) < 0:
        raise BundleError(f"{place} has the shape {list(tensor.dims)!r:.100}; train again")
    if prod(tensor.dims) * wanted != len(tensor.raw_data):
        raise BundleError(f"{place} has {len(tensor.raw_data)} bytes for {list(tensor.dims)!r:.100}; train again")


def _check_spread(shape: Any, place: str) -> None:  # noqa: ANN401
    if shape is None or shape.data_type != INT64:
        return
    sizes = [
        int.from_bytes(shape.raw_data[at : at + 8], "little", signed=True) for at in range(0, len(shape.raw_data), 8)
    ]
    if prod(max(abs(size), 1) for size in sizes[:MOST_DIMENSIONS]) > MOST_SPREAD or len(sizes) > MOST_DIMENSIONS:
        raise BundleError(f"{place} asks for {sizes!r:.100} numbers, at most {MOST_SPREAD} may be; train again")


def _check_known(message: Any, name: str) -> None:  # noqa: ANN401
    for each in _messages(message):
        unknown, kind = UnknownFieldSet(each), each.DESCRIPTOR.name
        if len(unknown):
            number = unknown[0].field_number
            what = KNOWN.get((kind, number), f"field {number} of {kind}")
            raise BundleError(f"{name} has {what}, which no plain network has; train again")


def _messages(message: Any) -> Iterator[Any]:  # noqa: ANN401
    yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for each in (value,) if isinstance(value, Message) else value:
                yield from _messages(each)
