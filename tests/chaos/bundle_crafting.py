"""Bundles whose digests are right and whose content is hostile: what someone who can make digests can hand over."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import AttributeProto, ModelProto, TensorProto, helper, numpy_helper

from engine.bundle_layout import ID_OFFSETS, IDS, MANIFEST, SEAL

NPY_HEADER = 128
Craft = Callable[[bytes, np.random.Generator], bytes]
INTEGERS = (0, 1, -1, 2, 7, 255, 2**15, 2**24, 2**31 - 1, -(2**31), 2**32, 2**40, 2**62, 2**63 - 1, -(2**63))
VALUES: tuple[Any, ...] = (None, True, 0, -1, 2**31, 2**63, 1e308, "", "x" * 70_000, [], {}, [[]], "../../etc/passwd")


def sealed(bundle: Path, name: str, content: bytes) -> None:
    """Put a file into the bundle, and make manifest and seal say that it belongs there."""
    (bundle / name).write_bytes(content)
    if name != MANIFEST:
        manifest = json.loads((bundle / MANIFEST).read_bytes())
        manifest["files"][name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        if name in {IDS, ID_OFFSETS}:
            offsets = (bundle / ID_OFFSETS).read_bytes()[NPY_HEADER:]
            manifest["vocabulary_digest"] = hashlib.sha256(offsets + (bundle / IDS).read_bytes()).hexdigest()
        (bundle / MANIFEST).write_text(json.dumps(manifest))
    (bundle / SEAL).write_text(hashlib.sha256((bundle / MANIFEST).read_bytes()).hexdigest())


def crafted_bundles(
    bundles: tuple[Path, ...], count: int, random: np.random.Generator
) -> Iterator[tuple[str, Path, str, bytes]]:
    """Yield what is done, to which bundle, to which file, and what the file becomes."""
    for number in range(count):
        bundle = bundles[number % len(bundles)]
        names = sorted(path.name for path in bundle.iterdir() if path.suffix in CRAFTS and path.name != SEAL)
        # All files in turn, whatever their number.
        name = names[number // len(bundles) % len(names)]
        crafts = CRAFTS[Path(name).suffix] + ANY
        craft = crafts[int(random.integers(len(crafts)))]
        yield f"{craft.__name__} of {name} ({number})", bundle, name, craft((bundle / name).read_bytes(), random)


def flipped_bytes(content: bytes, random: np.random.Generator) -> bytes:
    changed = bytearray(content)
    for position in random.integers(len(content), size=int(2 ** random.integers(8))):
        changed[position] = int(random.integers(256))
    return bytes(changed)


def flipped_header(content: bytes, random: np.random.Generator) -> bytes:
    changed = bytearray(content)
    for position in random.integers(min(len(content), 256), size=4):
        changed[position] = int(random.integers(256))
    return bytes(changed)


def cut(content: bytes, random: np.random.Generator) -> bytes:
    return content[: int(random.integers(len(content)))]


def extended(content: bytes, random: np.random.Generator) -> bytes:
    return content + random.bytes(int(random.integers(1, 5_000)))


def zeros(content: bytes, random: np.random.Generator) -> bytes:
    return bytes(len(content))


def other_array(content: bytes, random: np.random.Generator) -> bytes:
    shape = tuple(int(random.choice(INTEGERS)) for _ in range(int(random.integers(4))))
    kind = str(random.choice(["<f4", "|O", "<f8", "<i4", "|V8", "<U100", ">f4"]))
    header = f"{{'descr': '{kind}', 'fortran_order': {bool(random.integers(2))}, 'shape': {shape}, }}"
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + content[128:]


def deep_array(content: bytes, random: np.random.Generator) -> bytes:
    text = b"(" * 9_000 + b")" * 9_000
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + content[128:]


def wild_array(content: bytes, random: np.random.Generator) -> bytes:
    whole = len(content) - (len(content) - 128) % 4
    numbers = np.frombuffer(content[128:whole], dtype="<u4").copy()
    if not len(numbers):
        return extended(content, random)
    wild = np.array([0x7F800000, 0xFF800000, 0x7FC00000, 0x7F7FFFFF, 0x00000001], dtype="<u4")
    numbers[random.integers(len(numbers), size=1 + len(numbers) // 10)] = random.choice(wild)
    return content[:128] + numbers.tobytes() + content[whole:]


def wild_integers(content: bytes, random: np.random.Generator) -> bytes:
    changed = bytearray(content)
    width, spelling = (4, "<i") if random.integers(2) else (8, "<q")
    for _ in range(int(random.integers(1, 4))):
        end = len(content) if random.integers(2) else min(len(content), 600)
        position = int(random.integers(end - width))
        value = int(random.choice(INTEGERS[: 10 if width == 4 else None]))
        changed[position : position + width] = struct.pack(spelling, value)
    return bytes(changed)


def other_kind(content: bytes, random: np.random.Generator) -> bytes:
    kinds = [b"IxFl", b"IxF2", b"IHNs", b"IwFl", b"IwPQ", b"IxPT", b"IxMp", b"IxRF", b"ilar", b"ImRQ", b"INSf", b"IxHe"]
    return kinds[int(random.integers(len(kinds)))] + content[4:]


def other_operator(content: bytes, random: np.random.Generator) -> bytes:
    model = onnx.load_from_string(content)
    node = model.graph.node[int(random.integers(len(model.graph.node)))]
    node.op_type = str(
        random.choice(["Loop", "If", "Scan", "RandomNormal", "StringConcat", "Tile", "Gather", "MatMul"])
    )
    node.domain = str(random.choice(["", "", "com.microsoft", "ai.onnx.ml"]))
    return model.SerializeToString()


def other_data(content: bytes, random: np.random.Generator) -> bytes:
    model = onnx.load_from_string(content)
    tensor = _tensor(model, random)
    del tensor.external_data[:]
    for key, value in (("location", "../../../etc/passwd"), ("offset", "0"), ("length", "64")):
        tensor.external_data.add(key=key, value=value)
    tensor.data_location = TensorProto.EXTERNAL
    tensor.ClearField("raw_data")
    return model.SerializeToString()


def other_dimensions(content: bytes, random: np.random.Generator) -> bytes:
    model = onnx.load_from_string(content)
    tensor = _tensor(model, random)
    sizes = [int(random.choice(INTEGERS)) for _ in range(int(random.integers(1, 5)))]
    del tensor.dims[:]
    tensor.dims.extend(sizes)
    return model.SerializeToString()


def other_numbers(content: bytes, random: np.random.Generator) -> bytes:
    """Whole numbers of the network, which are its shapes, axes and places, become others."""
    model = onnx.load_from_string(content)
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.INT64 and random.random() < 0.3:
            count = len(tensor.raw_data) // 8
            tensor.raw_data = struct.pack(f"<{count}q", *(int(random.choice(INTEGERS)) for _ in range(count)))
    return model.SerializeToString()


def other_attributes(content: bytes, random: np.random.Generator) -> bytes:
    model = onnx.load_from_string(content)
    for node in model.graph.node:
        for attribute in node.attribute:
            if random.random() < 0.2:
                attribute.i = int(random.choice(INTEGERS))
                attribute.ints[:] = [int(random.choice(INTEGERS)) for _ in attribute.ints]
    return model.SerializeToString()


def other_wires(content: bytes, random: np.random.Generator) -> bytes:
    model = onnx.load_from_string(content)
    nodes = model.graph.node
    for _ in range(int(random.integers(1, 4))):
        node = nodes[int(random.integers(len(nodes)))]
        if node.input:
            source = nodes[int(random.integers(len(nodes)))]
            node.input[int(random.integers(len(node.input)))] = source.output[0]
    return model.SerializeToString()


def whole_division(content: bytes, random: np.random.Generator) -> bytes:
    """Divide the smallest whole number by -1, or convolve in no groups, on the way to the first output."""
    model = onnx.load_from_string(content)
    graph = model.graph
    if random.integers(2):
        graph.initializer.append(TensorProto(name="least", data_type=7, dims=[1], raw_data=struct.pack("<q", -(2**63))))
        graph.initializer.append(TensorProto(name="minus", data_type=7, dims=[1], raw_data=struct.pack("<q", -1)))
        graph.node.append(helper.make_node("Div", ["least", "minus"], ["divided"]))
    else:
        graph.initializer.append(TensorProto(name="none", data_type=1, dims=[1, 0, 4]))
        graph.initializer.append(TensorProto(name="kernel", data_type=1, dims=[1, 0, 1]))
        graph.node.append(helper.make_node("Conv", ["none", "kernel"], ["divided"], group=0))
    return model.SerializeToString()


def empty_recurrence(content: bytes) -> bytes:
    """Make of an encoder one that runs a GRU over no events at all, in operators that all networks may use.

    ONNX Runtime 1.32 ends the process then. It is no craft of those below: what opens here must run.
    """
    model = onnx.load_from_string(content)
    graph = model.graph
    read, said = graph.input[0], graph.output[0]
    width, hidden = (each.type.tensor_type.shape.dim[-1].dim_value for each in (read, said))
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    shapes = {"weights": (1, 3 * hidden, width), "recurrent": (1, 3 * hidden, hidden)}
    graph.initializer.extend(numpy_helper.from_array(np.ones(shapes[name], np.float32), name) for name in shapes)
    graph.initializer.extend(numpy_helper.from_array(np.array([place]), f"at {place}") for place in (0, 1))
    graph.node.extend(
        (
            helper.make_node("Slice", [read.name, "at 0", "at 0", "at 1"], ["nothing"]),
            helper.make_node("Transpose", ["nothing"], ["steps"], perm=[1, 0, 2]),
            helper.make_node("GRU", ["steps", "weights", "recurrent"], ["", "last"], hidden_size=hidden),
            helper.make_node("Squeeze", ["last", "at 0"], [said.name]),
        )
    )
    return model.SerializeToString()


def own_functions(content: bytes, random: np.random.Generator) -> bytes:
    model = onnx.load_from_string(content)
    node = helper.make_node("Relu", ["x"], ["y"])
    opsets = [helper.make_opsetid("", 18)]
    model.functions.append(helper.make_function("", "Relu", ["x"], ["y"], [node], opsets))
    return model.SerializeToString()


def inner_graph(content: bytes, random: np.random.Generator) -> bytes:
    model = onnx.load_from_string(content)
    node = model.graph.node[0]
    node.attribute.append(AttributeProto(name="body", type=AttributeProto.GRAPH, g=model.graph))
    return model.SerializeToString()


def runtime_format(content: bytes, random: np.random.Generator) -> bytes:
    return content[:4] + b"ORTM" + content[8:]


def other_values(content: bytes, random: np.random.Generator) -> bytes:
    document = json.loads(content)
    for _ in range(int(random.integers(1, 3))):
        _change(document, random)
    return json.dumps(document).encode()


def deep(content: bytes, random: np.random.Generator) -> bytes:
    depth = int(10 ** random.integers(2, 7))
    return (b"[" * depth + b"]" * depth) if random.integers(2) else (b'{"a":' * depth + b"1" + b"}" * depth)


def long_number(content: bytes, random: np.random.Generator) -> bytes:
    return b"[" + b"9" * 1_000_000 + b"]"


def many(content: bytes, random: np.random.Generator) -> bytes:
    return b"[" + b'"",' * 1_000_000 + b'""]'


def _tensor(model: ModelProto, random: np.random.Generator) -> TensorProto:
    return model.graph.initializer[int(random.integers(len(model.graph.initializer)))]


def _change(document: Any, random: np.random.Generator) -> None:
    """Put a strange value somewhere, or take something away."""
    while isinstance(document, dict | list) and document:
        keys = list(document) if isinstance(document, dict) else range(len(document))
        key = keys[int(random.integers(len(keys)))]
        if not isinstance(document[key], dict | list) or not document[key] or random.random() < 0.25:
            if random.random() < 0.2:
                del document[key]
            else:
                document[key] = VALUES[int(random.integers(len(VALUES)))]
            return
        document = document[key]


ANY: list[Craft] = [flipped_bytes, cut, extended, zeros]
NETWORKS: list[Craft] = [other_operator, other_data, other_dimensions, other_numbers, other_attributes, other_wires]
CRAFTS: dict[str, list[Craft]] = {
    ".npy": [flipped_header, other_array, deep_array, wild_array, wild_array],
    ".faiss": [flipped_header, wild_integers, wild_integers, wild_integers, other_kind],
    ".onnx": [*NETWORKS, *NETWORKS, flipped_header, whole_division, own_functions, inner_graph, runtime_format],
    ".json": [other_values, other_values, other_values, other_values, deep, long_number, many],
    ".jsonl": [deep, many],
    ".txt": [wild_integers, deep],
}
