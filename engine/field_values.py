"""FieldValues: the values of one field as they are read, row after row."""

from __future__ import annotations

import math
from array import array


class TextValues:
    """Texts, each held once, and which row has which."""

    __slots__ = ("codes", "codes_of", "rows")

    def __init__(self) -> None:
        self.codes_of: dict[str, int] = {}
        self.codes, self.rows = array("i"), array("i")

    def put(self, row: int, text: str) -> None:
        """Say that a row has a text."""
        self.codes.append(self.codes_of.setdefault(text, len(self.codes_of)))
        self.rows.append(row)


class FieldValues:
    """Numbers, truths and texts with their rows; of nulls, objects, lists in lists and what is no number nothing."""

    __slots__ = ("listed", "number_rows", "numbers", "single", "truth_rows", "truths")

    def __init__(self) -> None:
        self.numbers, self.number_rows = array("d"), array("i")
        self.truths, self.truth_rows = array("i"), array("i")
        self.single, self.listed = TextValues(), TextValues()

    def put(self, row: int, value: object) -> None:
        """Take what a row has under the field."""
        if isinstance(value, str):
            self.single.put(row, value)
        elif isinstance(value, (list, tuple)):
            for each in value:
                if isinstance(each, str):
                    self.listed.put(row, each)
                else:
                    self._put_plain(row, each)
        else:
            self._put_plain(row, value)

    def _put_plain(self, row: int, value: object) -> None:
        if isinstance(value, bool):
            self.truths.append(value)
            self.truth_rows.append(row)
        elif isinstance(value, (int, float)) and (number := _as_float(value)) == number:
            self.numbers.append(number)
            self.number_rows.append(row)


def _as_float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.copysign(math.inf, value)
