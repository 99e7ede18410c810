"""FieldColumn: what the rows of a table have under one field, as sorted values with their rows."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.field_postings import FieldPostings, Rows
from engine.field_texts import FieldTexts, encoded
from engine.field_values import CodedTexts, FieldValues
from engine.filter_nodes import Comparison, Value

TRUTHS = range(2)


@dataclass(frozen=True, slots=True)
class FieldColumn:
    """Numbers, truths, texts that stand alone and texts in lists: the distinct values of each kind, and their rows."""

    numbers: tuple[npt.NDArray[np.float64], FieldPostings]
    truths: FieldPostings
    single: tuple[FieldTexts, FieldPostings]
    listed: tuple[FieldTexts, FieldPostings]

    @classmethod
    def of(cls, values: FieldValues) -> FieldColumn:
        """Sort what was read."""
        numbers, rows = values.numbers()
        numbers, codes = np.unique(numbers, return_inverse=True)
        postings = FieldPostings.of(codes.astype(np.int32), rows, len(numbers))
        truths = FieldPostings.of(*values.truths(), 2)
        return cls((numbers, postings), truths, _texts(values.single), _texts(values.listed))

    def rows(self, comparison: Comparison) -> Iterator[Rows]:
        """Go through the rows of which a comparison, other than with null, is true; some may come twice."""
        if comparison.operator == "contains":
            yield from self._containing(str(comparison.values[0]))
            return
        operator = "=" if comparison.operator == "in" else comparison.operator
        for value in comparison.values:
            yield from self._compared(operator, value)

    def all_rows(self) -> Iterator[Rows]:
        """Go through the rows that have any value; some may come twice."""
        for postings in (self.numbers[1], self.truths, self.single[1], self.listed[1]):
            yield postings.rows

    def _containing(self, part: str) -> Iterator[Rows]:
        texts, postings = self.single
        yield postings.having(texts.containing(part))
        texts, postings = self.listed
        yield postings.between(*_range(texts, "=", encoded(part)))

    def _compared(self, operator: str, value: Value) -> Iterator[Rows]:
        if isinstance(value, str):
            for texts, postings in (self.single, self.listed):
                yield postings.between(*_range(texts, operator, encoded(value)))
        else:
            values, postings = (TRUTHS, self.truths) if isinstance(value, bool) else self.numbers
            yield postings.between(*_range(values, operator, value))


def _texts(values: CodedTexts) -> tuple[FieldTexts, FieldPostings]:
    # The codes were given in the order in which the texts came.
    codes, rows = values.pairs()
    texts = list(values.code_of)
    order = sorted(range(len(texts)), key=texts.__getitem__)
    places = np.empty(len(texts), dtype=np.int32)
    places[order] = np.arange(len(texts), dtype=np.int32)
    return FieldTexts.of(texts[code] for code in order), FieldPostings.of(places[codes], rows, len(texts))


def _range(values: Sequence[Any] | npt.NDArray[np.float64], operator: str, value: object) -> tuple[int, int]:
    first: int = bisect_left(values, value)
    behind: int = bisect_right(values, value)
    ranges = {"=": (first, behind), "<": (0, first), "<=": (0, behind)}
    return (ranges | {">": (behind, len(values)), ">=": (first, len(values))})[operator]
