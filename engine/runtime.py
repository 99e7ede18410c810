"""Network: a trained network, run by ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from engine.errors import NetworkError
from engine.network_check import check_network
from engine.unreadable import unreadable

FLOAT = "tensor(float)"
DTYPES = {FLOAT: np.dtype(np.float32), "tensor(int64)": np.dtype(np.int64)}


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
        self._inputs = {each.name: each for each in self._session.get_inputs()}

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
            self._check(name, array)
        outputs: list[npt.NDArray[np.float32]] = self._session.run(None, arrays)
        return outputs

    def _check(self, name: str, array: npt.NDArray[np.generic]) -> None:
        wanted = self._inputs[name]
        # A dimension of the file is a number, or a name where any size fits.
        sizes_fit = len(array.shape) == len(wanted.shape) and all(
            not isinstance(want, int) or want == have for want, have in zip(wanted.shape, array.shape, strict=True)
        )
        if not sizes_fit or DTYPES.get(wanted.type) != array.dtype:
            raise NetworkError(
                f"{self._name}: input {name} is {array.dtype} {array.shape}, wanted {wanted.type} {wanted.shape}"
            )
