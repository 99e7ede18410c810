"""NetworkDivision: no network may divide whole numbers by what could end the process.

The smallest whole number divided by -1 is a signal, not an error, and so are a convolution of no groups and one with
an empty kernel.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from engine.errors import BundleError

FLOATS = {1, 10, 11, 16}
"""float32, float16, float64 and bfloat16, by their numbers in ONNX."""
WHOLE_NUMBERS = {6: "<i4", 7: "<i8"}
BOOL, INT64, UNKNOWN = 9, 7, 0
OUTPUTS = {"Shape": INT64} | dict.fromkeys(("And", "Equal", "Greater", "GreaterOrEqual", "Less", "Not"), BOOL)
"""The type of what an operator gives, where it is always the same."""
TYPED_BY_INPUT = {"Where": 1}
"""Which input has the type of the outputs, where it is not the first."""
CAST, CONVOLVE, DIVIDE, SPLIT = "Cast", "Conv", "Div", "Split"


class NetworkDivision:
    """Follows the types of all values of a graph, node by node, in the order of the file.

    What an optional output of further statistics holds is not followed: it is of an unknown type.
    """

    def __init__(self, graph: Any, constants: Mapping[str, Any]) -> None:  # noqa: ANN401 (its class is made at import)
        self._constants = constants
        self._types = {name: tensor.data_type for name, tensor in constants.items()}
        self._types |= {each.name: each.type.tensor_type.elem_type for each in graph.input}

    def check(self, node: Any, place: str) -> None:  # noqa: ANN401
        """Raise BundleError for a division that could be one of whole numbers, unless the divisor is above 0."""
        if node.op_type == DIVIDE and not self._is_harmless(node):
            raise BundleError(
                f"{place} may divide whole numbers by {list(node.input)[1:]!r:.80}, which is no number above 0 of the"
                " file; divide floats, or by such a number, and train again"
            )
        if node.op_type == CONVOLVE and not self._has_kernel(node):
            raise BundleError(f"{place} has no kernel in the file, or an empty one; train again")
        alike = node.output if node.op_type == SPLIT else node.output[:1]
        self._types |= dict.fromkeys(alike, self._type(node))

    def _is_harmless(self, node: Any) -> bool:  # noqa: ANN401
        # Both sides are of one type: ONNX Runtime refuses all else.
        if any(self._types.get(name) in FLOATS for name in node.input):
            return True
        divisor = self._constants.get(node.input[1]) if len(node.input) > 1 else None
        if divisor is None or divisor.data_type not in WHOLE_NUMBERS:
            return False
        return bool((np.frombuffer(divisor.raw_data, WHOLE_NUMBERS[divisor.data_type]) > 0).all())

    def _has_kernel(self, node: Any) -> bool:  # noqa: ANN401
        kernel = self._constants.get(node.input[1]) if len(node.input) > 1 else None
        return kernel is not None and min(kernel.dims, default=0) > 0

    def _type(self, node: Any) -> int:  # noqa: ANN401
        if node.op_type == CAST:
            return next((int(each.i) for each in node.attribute if each.name == "to"), UNKNOWN)
        if node.op_type in OUTPUTS:
            return OUTPUTS[node.op_type]
        at = TYPED_BY_INPUT.get(node.op_type, 0)
        return self._types.get(node.input[at], UNKNOWN) if len(node.input) > at else UNKNOWN
