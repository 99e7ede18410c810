"""Network: a trained network, run by ONNX Runtime."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from engine.errors import NetworkError
from engine.network_check import check_network
from engine.unreadable import unreadable

FLOAT = "tensor(float)"
DTYPES: dict[str, np.dtype[Any]] = {FLOAT: np.dtype(np.float32), "tensor(int64)": np.dtype(np.int64)}


class Network:
    """An ONNX file as a function of named arrays; one thread, since each worker process is one core's work.

    Raises BundleError for a file that is not a plain network.
    """

    def __init__(self, encoded: bytes, name: str) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.enable_cpu_mem_arena = False
        options.log_severity_level = 3
        # Else the bytes themselves choose a format that is not looked at here.
        options.add_session_config_entry("session.load_model_format", "ONNX")
        check_network(encoded, name)
        with unreadable(name, "train again"):
            # The fallback would print, and try the very same again.
            self._session = ort.InferenceSession(
                encoded, options, providers=["CPUExecutionProvider"], enable_fallback=False
            )
        self._name = name
        self._inputs = {each.name: Input.of(each) for each in self._session.get_inputs()}

    @classmethod
    def open(cls, path: Path) -> Network:
        """Load the network of an .onnx file."""
        return cls(path.read_bytes(), path.name)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the inputs."""
        return tuple(self._inputs)

    def run(self, **arrays: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
        """Return the first output; raises NetworkError if a name, type or shape does not fit."""
        return self.run_all(**arrays)[0]

    def run_all(self, **arrays: npt.NDArray[np.generic]) -> list[npt.NDArray[np.float32]]:
        """Return all outputs; raises NetworkError if a name, type or shape does not fit."""
        if arrays.keys() != self._inputs.keys():
            raise NetworkError(f"{self._name} takes {sorted(self._inputs)} but was given {sorted(arrays)}")
        for name, array in arrays.items():
            if not self._inputs[name].fits(array):
                raise NetworkError(f"{self._name}: input {name} is {array.dtype} {array.shape}, {self._inputs[name]}")
        outputs: list[npt.NDArray[np.float32]] = self._session.run(None, arrays)
        return outputs


@dataclass(frozen=True, slots=True)
class Input:
    """What one input takes: a type, a number of dimensions, and sizes of those that are not free, by their place."""

    dtype: np.dtype[Any] | None
    dimensions: int
    sizes: tuple[tuple[int, int], ...]
    wanted: str

    @classmethod
    def of(cls, described: ort.NodeArg) -> Input:
        """Read what the file says of an input; a dimension there is a number, or a name where any size fits."""
        sizes = tuple((place, size) for place, size in enumerate(described.shape) if isinstance(size, int))
        wanted = f"wanted {described.type} {described.shape}"
        return cls(DTYPES.get(described.type), len(described.shape), sizes, wanted)

    def fits(self, array: npt.NDArray[np.generic]) -> bool:
        """Return whether an array can be given."""
        shape = array.shape
        return (
            array.dtype == self.dtype
            and len(shape) == self.dimensions
            and all(shape[place] == size for place, size in self.sizes)
        )

    def __str__(self) -> str:
        return self.wanted
