"""The part of the ONNX format that a plain network needs; the package `onnx` is too large for the service.

What a message below does not name is unknown when it is parsed, and so can be found and refused. A field of BYTES whose
name ends in `_skipped` is a message that is not looked into.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_Field = descriptor_pb2.FieldDescriptorProto
_TYPES = {
    "bytes": _Field.TYPE_BYTES,
    "float": _Field.TYPE_FLOAT,
    "int32": _Field.TYPE_INT32,
    "int64": _Field.TYPE_INT64,
    "string": _Field.TYPE_STRING,
}
PACKAGE = "liverec.onnx"
MESSAGES: dict[str, dict[str, tuple[int, str]]] = {
    "Model": {
        "ir_version": (1, "int64"),
        "producer_name": (2, "string"),
        "producer_version": (3, "string"),
        "domain": (4, "string"),
        "model_version": (5, "int64"),
        "doc_string": (6, "string"),
        "graph": (7, "Graph"),
        "opset_import": (8, "Opset*"),
        "metadata_props_skipped": (14, "bytes*"),
    },
    "Opset": {"domain": (1, "string"), "version": (2, "int64")},
    "Graph": {
        "node": (1, "Node*"),
        "name": (2, "string"),
        "initializer": (5, "Tensor*"),
        "doc_string": (10, "string"),
        "input": (11, "Input*"),
        "output_skipped": (12, "bytes*"),
        "value_info_skipped": (13, "bytes*"),
        "metadata_props_skipped": (16, "bytes*"),
    },
    "Input": {
        "name": (1, "string"),
        "type": (2, "Type"),
        "doc_string": (3, "string"),
        "metadata_props_skipped": (4, "bytes*"),
    },
    "Type": {"tensor_type": (1, "TensorType"), "denotation": (6, "string")},
    "TensorType": {"elem_type": (1, "int32"), "shape_skipped": (2, "bytes")},
    "Node": {
        "input": (1, "string*"),
        "output": (2, "string*"),
        "name": (3, "string"),
        "op_type": (4, "string"),
        "attribute": (5, "Attribute*"),
        "doc_string": (6, "string"),
        "domain": (7, "string"),
        "metadata_props_skipped": (9, "bytes*"),
    },
    "Attribute": {
        "name": (1, "string"),
        "f": (2, "float"),
        "i": (3, "int64"),
        "s": (4, "bytes"),
        "ints": (8, "int64*"),
        "type": (20, "int32"),
    },
    "Tensor": {
        "dims": (1, "int64*"),
        "data_type": (2, "int32"),
        "name": (8, "string"),
        "raw_data": (9, "bytes"),
        "doc_string": (12, "string"),
    },
}


def _file() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(name="liverec/onnx.proto", package=PACKAGE, syntax="proto2")
    for message, fields in MESSAGES.items():
        described = file.message_type.add(name=message)
        for name, (number, kind) in fields.items():
            field = described.field.add(name=name, number=number)
            field.label = _Field.LABEL_REPEATED if kind.endswith("*") else _Field.LABEL_OPTIONAL
            field.type = _TYPES.get(kind.rstrip("*"), _Field.TYPE_MESSAGE)
            if field.type == _Field.TYPE_MESSAGE:
                field.type_name = f".{PACKAGE}.{kind.rstrip('*')}"
    return file


_pool = descriptor_pool.DescriptorPool()
_pool.Add(_file())
Model: Any = message_factory.GetMessageClass(_pool.FindMessageTypeByName(f"{PACKAGE}.Model"))
"""The message class of a whole file."""
