"""OutputsOfInputs: which output vectors of a network usually go with such input vectors."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.item_vectors import ItemVectors

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
LEARNED_FROM = 10_000
SMALLEST = 1e-6


class OutputsOfInputs:
    """A regression on items of the bundle, without the bias; learned when it is first asked for.

    Where users look for a new item is not where the items are that are like it (docs/decisions/0007), so an index of
    output vectors is not asked by its own.
    """

    def __init__(self, vectors: ItemVectors) -> None:
        self._vectors = vectors
        self._turn: Floats | None = None

    def __call__(self, indices: Indices) -> Floats:
        """Return [B,E]."""
        if self._turn is None:
            self._turn = self._learned()
        turned: Floats = (self._vectors.inputs_of(indices) @ self._turn).astype(np.float32)
        return turned

    def _learned(self) -> Floats:
        count = len(self._vectors.outputs)
        some = np.unique(np.linspace(0, count - 1, min(count, LEARNED_FROM)).astype(np.int64))
        outputs = np.array(self._vectors.outputs[some])
        outputs[:, -1] = 0
        inputs = np.asarray(self._vectors.inputs[some], dtype=np.float64)
        squares = inputs.T @ inputs
        squares += SMALLEST * (np.trace(squares) / len(squares) + 1.0) * np.eye(len(squares))
        turn: Floats = np.linalg.solve(squares, inputs.T @ outputs)
        return turn
