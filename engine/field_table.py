"""FieldTable: what items have under their fields, against which filters are evaluated."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.field_column import FieldColumn
from engine.field_values import FieldValues
from engine.filter_nodes import AllOf, Comparison, Negation, Node

Mask = npt.NDArray[np.bool_]


class FieldTable:
    """The columns of rows 0..M-1."""

    def __init__(self, columns: Mapping[str, FieldColumn], count: int) -> None:
        self.columns = columns
        self._count = count

    def __len__(self) -> int:
        return self._count

    @classmethod
    def of(cls, documents: Iterable[Mapping[str, Any]]) -> FieldTable:
        """Make columns of documents, the rows in their order; an object under a name counts as nothing."""
        fields: defaultdict[str, FieldValues] = defaultdict(FieldValues)
        count = 0
        for row, document in enumerate(documents):
            count = row + 1
            for name, value in document.items():
                fields[name].put(row, value)
        # What was read is let go field by field: it takes much more memory than the column.
        return cls({name: FieldColumn(fields.pop(name)) for name in list(fields)}, count)

    def matches(self, node: Node) -> Mask:
        """Return of which rows a filter is true, [M]; no more than a filter may be nested does this recurse."""
        if isinstance(node, Comparison):
            return self._compared(node)
        if isinstance(node, Negation):
            return ~self.matches(node.part)
        join = np.logical_and if isinstance(node, AllOf) else np.logical_or
        found = self.matches(node.parts[0])
        for part in node.parts[1:]:
            join(found, self.matches(part), out=found)
        return found

    def _compared(self, comparison: Comparison) -> Mask:
        is_null = comparison.values[0] is None
        found = np.full(self._count, is_null)
        if (column := self.columns.get(comparison.field)) is not None:
            for rows in column.all_rows() if is_null else column.rows(comparison):
                found[rows] = not is_null
        return found
