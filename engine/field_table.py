"""FieldTable: what items have under their fields, against which filters are evaluated."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from engine.field_column import FieldColumn
from engine.field_values import FieldValues, Rows
from engine.filter_nodes import AllOf, Comparison, Negation, Node

Mask = npt.NDArray[np.bool_]


class Column(Protocol):
    """What the rows of a table have under one field."""

    def rows(self, comparison: Comparison) -> Iterator[Rows]:
        """Go through the rows of which a comparison, other than with null, is true; some may come twice."""
        ...

    def all_rows(self) -> Iterator[Rows]:
        """Go through the rows that have any value; some may come twice."""
        ...


class FieldTable:
    """The columns of rows 0..M-1."""

    def __init__(self, columns: Mapping[str, Column], count: int) -> None:
        self.columns = columns
        self._count = count

    def __len__(self) -> int:
        return self._count

    @classmethod
    def of(cls, lots: Iterable[Sequence[Mapping[str, Any]]]) -> FieldTable:
        """Make columns of documents, which come in lots and whose order is that of the rows."""
        return cls(*columns_of(lots))

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


def columns_of(lots: Iterable[Sequence[Mapping[str, Any]]]) -> tuple[dict[str, FieldColumn], int]:
    """Return the columns of documents, which come in lots in the order of the rows, and the number of these."""
    fields: defaultdict[str, FieldValues] = defaultdict(FieldValues)
    count = 0
    for documents in lots:
        for name, rows, values in _turned(documents, count):
            fields[name].extend(rows, values)
        count += len(documents)
    # What was read is let go field by field: it takes much more memory than the column.
    return {name: FieldColumn.of(fields.pop(name)) for name in list(fields)}, count


def _turned(documents: Sequence[Mapping[str, Any]], first: int) -> Iterator[tuple[str, Rows, list[Any]]]:
    """Go through the fields with their rows and values; documents of the same fields are turned all at once."""
    alike: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
    for place, document in enumerate(documents):
        alike[tuple(document)].append(place)
    fields: defaultdict[str, tuple[list[int], list[Any]]] = defaultdict(lambda: ([], []))
    for names, places in alike.items():
        columns = zip(*(documents[place].values() for place in places), strict=True)
        for name, column in zip(names, columns, strict=True):
            fields[name][0].extend(places)
            fields[name][1].extend(column)
    for name, (places, values) in fields.items():
        yield name, np.array(places, dtype=np.int32) + np.int32(first), values
