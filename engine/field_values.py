"""FieldValues: the values of one field as they are read, lot after lot."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int32]


class _Codes(dict[str, int]):
    """Gives each text that it is asked for the first time the next code."""

    def __missing__(self, text: str) -> int:
        code = self[text] = len(self)
        return code


class CodedTexts:
    """Texts, each held once and numbered as they came, and which row has which."""

    def __init__(self) -> None:
        self.code_of = _Codes()
        self._codes: list[Rows] = [np.empty(0, np.int32)]
        self._rows: list[Rows] = [np.empty(0, np.int32)]

    def extend(self, rows: Rows, texts: Sequence[str]) -> None:
        """Say which row has which text."""
        self._codes.append(np.fromiter(map(self.code_of.__getitem__, texts), np.int32, len(texts)))
        self._rows.append(rows)

    def pairs(self) -> tuple[Rows, Rows]:
        """Return codes and rows."""
        return np.concatenate(self._codes), np.concatenate(self._rows)


class FieldValues:
    """Numbers, truths and texts with their rows; of nulls, objects and lists in lists nothing is kept."""

    def __init__(self) -> None:
        self._numbers: list[npt.NDArray[np.float64]] = [np.empty(0)]
        self._number_rows: list[Rows] = [np.empty(0, np.int32)]
        self._truths: list[Rows] = [np.empty(0, np.int32)]
        self._truth_rows: list[Rows] = [np.empty(0, np.int32)]
        self.single, self.listed = CodedTexts(), CodedTexts()

    def extend(self, rows: Rows, values: Sequence[Any]) -> None:
        """Take what some rows have under the field."""
        for kind, its_rows, its_values in _by_kind(rows, values):
            if issubclass(kind, (list, tuple)):
                self._extend_by_lists(its_rows, its_values)
            else:
                self._extend(kind, its_rows, its_values, self.single)

    def numbers(self) -> tuple[npt.NDArray[np.float64], Rows]:
        """Return numbers and rows, without what is no number."""
        numbers, rows = np.concatenate(self._numbers), np.concatenate(self._number_rows)
        is_number = ~np.isnan(numbers)
        return numbers[is_number], rows[is_number]

    def truths(self) -> tuple[Rows, Rows]:
        """Return truths as 0 and 1, and rows."""
        return np.concatenate(self._truths), np.concatenate(self._truth_rows)

    def _extend_by_lists(self, rows: Rows, lists: Sequence[Sequence[Any]]) -> None:
        repeated = np.repeat(rows, [len(each) for each in lists])
        for kind, its_rows, its_values in _by_kind(repeated, list(chain.from_iterable(lists))):
            self._extend(kind, its_rows, its_values, self.listed)

    def _extend(self, kind: type, rows: Rows, values: Sequence[Any], texts: CodedTexts) -> None:
        if issubclass(kind, str):
            texts.extend(rows, values)
        elif issubclass(kind, bool):
            self._truths.append(np.array(values, dtype=np.int32))
            self._truth_rows.append(rows)
        elif issubclass(kind, (int, float)):
            self._numbers.append(_floats(values))
            self._number_rows.append(rows)


def _by_kind(rows: Rows, values: Sequence[Any]) -> Iterator[tuple[type, Rows, Sequence[Any]]]:
    kinds = set(map(type, values))
    for kind in kinds:
        if len(kinds) == 1:
            yield kind, rows, values
        else:
            places = [place for place, value in enumerate(values) if type(value) is kind]
            yield kind, rows[places], [values[place] for place in places]


def _floats(values: Sequence[float]) -> npt.NDArray[np.float64]:
    try:
        return np.array(values, dtype=np.float64)
    except OverflowError:
        return np.array([_as_float(value) for value in values])


def _as_float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
