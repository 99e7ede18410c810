"""ONNX Runtime gets plain networks only; all that training exports is plain."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import AttributeProto, ModelProto, TensorProto, helper, numpy_helper

from engine.bundle import Bundle
from engine.errors import BundleError
from engine.network_check import MOST_NODES, OPERATORS, check_network
from engine.runtime import Network


def plain() -> ModelProto:
    """y = x * [2, 3]."""
    two = numpy_helper.from_array(np.array([2, 3], dtype=np.float32), "two")
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["B", 2]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Mul", ["x", "two"], ["y"])], "plain", [x], [y], [two])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def refused(model: ModelProto, words: str) -> None:
    for check in (check_network, Network):
        with pytest.raises(BundleError, match=rf"net\.onnx.*{words}"):
            check(model.SerializeToString(), "net.onnx")


def test_every_network_of_a_bundle_that_reads_items_is_plain(topic_bundle: Path) -> None:
    names = [path.name for path in topic_bundle.glob("*.onnx")]
    assert {"content.onnx", "sasrec_items.onnx", "ranker.onnx", "sasrec_encoder.onnx"} <= set(names)
    for name in names:
        check_network((topic_bundle / name).read_bytes(), name)


def test_a_plain_network_runs() -> None:
    network = Network(plain().SerializeToString(), "net.onnx")
    np.testing.assert_array_equal(network.run(x=np.ones((1, 2), dtype=np.float32)), [[2, 3]])


def test_no_operator_reads_files_loops_draws_or_spells() -> None:
    assert not OPERATORS & {"Loop", "If", "Scan", "SequenceMap", "RandomNormal", "RandomUniform", "Bernoulli"}
    assert not OPERATORS & {"Multinomial", "StringConcat", "StringSplit", "RegexFullMatch", "ImageDecoder", "Optional"}


@pytest.mark.parametrize(
    ("operator", "domain"),
    [("Loop", ""), ("RandomNormal", ""), ("ImageDecoder", ""), ("Mul", "com.microsoft"), ("Mul", "mine"), ("", "")],
)
def test_another_operator_is_named(operator: str, domain: str) -> None:
    model = plain()
    model.graph.node[0].op_type, model.graph.node[0].domain = operator, domain
    refused(model, f"operator '{operator}' of '{domain}'")


def external(model: ModelProto) -> None:
    tensor = model.graph.initializer[0]
    tensor.external_data.add(key="location", value="/etc/passwd")
    tensor.data_location = TensorProto.EXTERNAL


def function(model: ModelProto) -> None:
    node = helper.make_node("Relu", ["a"], ["b"])
    model.functions.append(helper.make_function("", "Mul", ["a"], ["b"], [node], [helper.make_opsetid("", 18)]))


def inner_graph(model: ModelProto) -> None:
    model.graph.node[0].attribute.append(AttributeProto(name="g", type=AttributeProto.GRAPH, g=model.graph))


def inner_tensor(model: ModelProto) -> None:
    tensor = model.graph.initializer[0]
    model.graph.node[0].attribute.append(AttributeProto(name="t", type=AttributeProto.TENSOR, t=tensor))


def sparse(model: ModelProto) -> None:
    tensor = model.graph.initializer[0]
    model.graph.sparse_initializer.add(values=tensor, indices=tensor, dims=[2])


def typed_data(model: ModelProto) -> None:
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.float_data.extend([2, 3])


def words(model: ModelProto) -> None:
    model.graph.initializer.append(TensorProto(name="w", data_type=TensorProto.STRING, dims=[0]))


def training(model: ModelProto) -> None:
    model.training_info.add()


def unnamed(model: ModelProto) -> None:
    model.graph.node[0].attribute.append(AttributeProto(name="a", type=AttributeProto.UNDEFINED))


def expand(model: ModelProto) -> None:
    model.graph.initializer.append(numpy_helper.from_array(np.array([2**20, 2**20]), "shape"))
    model.graph.node.append(helper.make_node("Expand", ["x", "shape"], ["z"]))


def many(model: ModelProto) -> None:
    model.graph.node.extend([model.graph.node[0]] * MOST_NODES)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (external, "data in another file"),
        (function, "functions of its own"),
        (inner_graph, "a graph inside a node"),
        (inner_tensor, "numbers inside a node"),
        (sparse, "sparse numbers"),
        (typed_data, "field 4 of Tensor"),
        (words, "'w' is of the ONNX type 8"),
        (training, "training steps"),
        (unnamed, "attribute 'a'"),
        (expand, "operator 'Expand' asks for"),
        (many, f"has {MOST_NODES + 1} operators"),
    ],
)
def test_what_no_plain_network_has(change: Callable[[ModelProto], None], words: str) -> None:
    model = plain()
    change(model)
    refused(model, words)


@pytest.mark.parametrize("dims", [[3], [2**62, 4], [-1, -2], [-2], [2**40, 2**40], [1] * 9, [2, 0]])
def test_as_many_numbers_as_announced(dims: list[int]) -> None:
    model = plain()
    model.graph.initializer[0].dims[:] = dims
    refused(model, "'two' has")


@pytest.mark.parametrize(("domain", "version"), [("", 5), ("", 99), ("com.microsoft", 1), ("ai.onnx.ml", 3)])
def test_only_onnx_s_own_operators_of_known_versions(domain: str, version: int) -> None:
    model = plain()
    model.opset_import.append(helper.make_opsetid(domain, version))
    refused(model, "is ONNX 10 with the operators")
    del model.opset_import[0]
    refused(model, "is ONNX 10 with the operators")


@pytest.mark.parametrize("content", [b"", b"no network", b"\x08", b"\x00" * 100, b"....ORTM" + bytes(100)])
def test_what_is_no_network_is_named(content: bytes) -> None:
    with pytest.raises(BundleError, match=r"net\.onnx"):
        Network(content, "net.onnx")


def test_a_bundle_with_another_network_gives_no_recommender(opened: Bundle) -> None:
    model = onnx.load_from_string(opened.ranker)
    model.graph.node[0].op_type = "Loop"
    from dataclasses import replace

    with pytest.raises(BundleError, match=r"ranker\.onnx: operator 'Loop'"):
        replace(opened, ranker=model.SerializeToString()).recommender()


def whole_numbers(operand: int, divisor: list[int] | None) -> ModelProto:
    """y = int64(x) / divisor, the divisor being of the run where it is None."""
    model = plain()
    graph = model.graph
    graph.ClearField("node")
    graph.output[0].type.tensor_type.elem_type = TensorProto.INT64
    graph.initializer.append(numpy_helper.from_array(np.array([operand]), "operand"))
    graph.initializer.append(numpy_helper.from_array(np.array(divisor or [1]), "constant"))
    graph.node.append(helper.make_node("Cast", ["x"], ["divisor"], to=TensorProto.INT64))
    graph.node.append(helper.make_node("Div", ["operand", "constant" if divisor else "divisor"], ["y"]))
    return model


@pytest.mark.parametrize("divisor", [[-1], [0], [2, -1], None])
def test_no_division_of_whole_numbers_that_ends_the_process(divisor: list[int] | None) -> None:
    refused(whole_numbers(-(2**63), divisor), "operator 'Div' may divide whole numbers")


def test_whole_numbers_are_divided_by_what_is_above_0() -> None:
    network = Network(whole_numbers(-7, [2]).SerializeToString(), "net.onnx")
    assert network.run(x=np.ones((1, 2), dtype=np.float32)).tolist() == [-3]


@pytest.mark.parametrize("name", ["group", "strides", "dilations", "kernel_shape"])
def test_no_attribute_that_is_divided_by_is_0(name: str) -> None:
    model = plain()
    model.graph.node.append(helper.make_node("Conv", ["x", "two"], ["z"], **{name: 0 if name == "group" else [0]}))
    refused(model, f"'{name}' is")


@pytest.mark.parametrize(
    ("operator", "names"), [("Attention", ("q_num_heads", "kv_num_heads")), ("RotaryEmbedding", ("num_heads",))]
)
def test_attention_has_heads(operator: str, names: tuple[str, ...]) -> None:
    model = plain()
    model.graph.node.append(helper.make_node(operator, ["x", "x", "x"], ["z"], **dict.fromkeys(names, 0)))
    refused(model, f"'({'|'.join(names)})' is")


def test_a_kernel_stands_in_the_file() -> None:
    model = plain()
    model.graph.node.append(helper.make_node("Conv", ["x", "y"], ["z"]))
    refused(model, "no kernel in the file")


def test_no_two_values_have_one_name() -> None:
    model = plain()
    model.graph.initializer.append(model.graph.initializer[0])
    refused(model, "two values called 'two'")
