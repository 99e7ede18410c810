"""ItemVectors: the two vectors of each item that a network was trained with."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from engine.errors import BundleError
from engine.growing_array import GrowingArray
from engine.measured_vectors import MeasuredVectors
from engine.row_set import RowSet
from engine.vector_table import CompactTable, Table, VectorType
from engine.window import HistoryBatch, IndexBatch

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ItemVectors:
    """Vectors of the items 0..N-1, memory-mapped once opened, and of those that came live at N+1, N+2, …

    inputs [N+1,D]: what a network reads of an item inside a history; row N is padding and all zeros.
    outputs [N,E]: what a user vector is multiplied with; the last dimension may carry a bias.
    Either may be stored in fewer bytes; what is gathered of it is float32.
    Both are the bundle's alone; what came live is reached by index.
    """

    inputs: Table
    outputs: Table
    live_inputs: MeasuredVectors = field(init=False, repr=False, compare=False)
    _live_outputs: GrowingArray = field(init=False, repr=False, compare=False)
    _known: RowSet = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.inputs) != len(self.outputs) + 1:
            raise BundleError(
                f"there are input vectors of {len(self.inputs) - 1} items, output vectors of {len(self.outputs)};"
                " train again"
            )
        live = (MeasuredVectors(self.inputs.shape[1]), GrowingArray(self.outputs.shape[1:]), RowSet())
        for name, value in zip(("live_inputs", "_live_outputs", "_known"), live, strict=True):
            object.__setattr__(self, name, value)

    def stored_as(self, kind: VectorType) -> ItemVectors:
        """Return vectors that take less room and differ a little; what came live is left out."""
        tables = (CompactTable.of(np.asarray(each, dtype=np.float32), kind) for each in (self.inputs, self.outputs))
        return ItemVectors(*tables)

    def put(self, indices: Indices, inputs: Floats, outputs: Floats) -> None:
        """Take input vectors [B,D] and output vectors [B,E] of live rows."""
        self.live_inputs.put(indices - len(self.inputs), inputs)
        self._live_outputs.put(indices - len(self.inputs), outputs)
        for index in indices.tolist():
            self._known.set(index, True)

    def knows(self, indices: Indices) -> npt.NDArray[np.bool_]:
        """Return which items have vectors here."""
        return ((indices >= 0) & (indices < len(self.outputs))) | self._known.hits(indices)

    def known(self, rows: IndexBatch) -> IndexBatch:
        """Return the histories without the events whose item has no vectors here."""
        padding_index = len(self.outputs)
        if (rows.indices <= padding_index).all():
            return rows
        return rows.kept(self.knows(rows.indices), padding_index)

    def batch(self, rows: IndexBatch) -> HistoryBatch:
        """Return what a network reads for these histories; an event whose item has no vectors here is left out."""
        rows = self.known(rows)
        gathered = np.asarray(self.inputs_of(rows.indices), dtype=np.float32)
        return HistoryBatch(gathered, rows.values, rows.ages, rows.lengths)

    def inputs_of(self, indices: Indices) -> Floats:
        """Return the input vectors of items [...,D]; zeros for padding and for a live one without."""
        inputs: Floats = self.live_inputs.beside(self.inputs, indices, len(self.inputs))
        return inputs

    def outputs_of(self, indices: Indices) -> Floats:
        """Return the output vectors of items [...,E]; zeros for a live one without; -1 and padding mean nothing."""
        outputs: Floats = self._live_outputs.beside(self.outputs, indices, len(self.inputs))
        return outputs
