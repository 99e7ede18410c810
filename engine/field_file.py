"""FieldFile: the fields of all items as they lie in a bundle, to be mapped and never read as a whole.

The parts of all columns stand one after the other in five arrays; the directory says how long each part is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from engine.array_file import write_array
from engine.bundle_folder import BundleFolder
from engine.bundle_layout import FIELD_ENDS, FIELD_NUMBERS, FIELD_ROWS, FIELD_STARTS, FIELD_TEXTS, FIELDS
from engine.errors import BundleError
from engine.field_column import FieldColumn
from engine.field_postings import FieldPostings
from engine.field_texts import END, FieldTexts
from engine.unreadable import named, unreadable

Columns = Mapping[str, FieldColumn]
TYPES: dict[str, np.dtype[Any]] = {
    FIELD_ROWS: np.dtype("<i4"),
    FIELD_STARTS: np.dtype("<i8"),
    FIELD_NUMBERS: np.dtype("<f8"),
    FIELD_TEXTS: np.dtype("u1"),
    FIELD_ENDS: np.dtype("<i8"),
}


class _Texts(BaseModel):
    """How many distinct texts there are, of how many bytes, and how many rows have one."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    values: int = Field(ge=0)
    bytes: int = Field(ge=0)
    rows: int = Field(ge=0)


class _Entry(BaseModel):
    """One column of the directory: the rows of numbers, of truths, and of the texts of either kind."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: str
    numbers: int = Field(ge=0)
    number_rows: int = Field(ge=0)
    truth_rows: int = Field(ge=0)
    single: _Texts
    listed: _Texts


DIRECTORY = TypeAdapter(list[_Entry])


def write_fields(columns: Columns, folder: Path) -> None:
    """Write columns into a folder."""
    # With the json of Python: a name may have half of a surrogate.
    directory = [_entry(*each).model_dump() for each in columns.items()]
    (folder / FIELDS).write_text(json.dumps(directory, separators=(",", ":")))
    for name, dtype in TYPES.items():
        parts = [part for column in columns.values() for part in _parts(column, name)]
        write_array(folder / name, (sum(map(len, parts)),), dtype, parts)


def read_fields(files: BundleFolder) -> dict[str, FieldColumn]:
    """Map what `write_fields` wrote; raises BundleError on anything else."""
    with unreadable(files.path / FIELDS):
        directory = DIRECTORY.validate_python(json.loads(files.read(FIELDS)))
    sizes = {name: sum(_size(entry, name) for entry in directory) for name in TYPES}
    runs = _Runs({name: files.numbers(name, sizes[name], dtype) for name, dtype in TYPES.items()})
    columns = {entry.name: runs.column(entry) for entry in directory}
    if len(columns) < len(directory):
        raise BundleError(f"{files.path / FIELDS} names a field twice; train again")
    if not files.is_vouched:
        with named(files.path / FIELDS):
            for column in columns.values():
                _check(column, files.manifest.data.items)
    return columns


def _entry(name: str, column: FieldColumn) -> _Entry:
    numbers, number_postings = column.numbers
    single, listed = (
        _Texts(values=len(texts), bytes=len(texts.content), rows=len(postings.rows))
        for texts, postings in (column.single, column.listed)
    )
    return _Entry(
        name=name,
        numbers=len(numbers),
        number_rows=len(number_postings.rows),
        truth_rows=len(column.truths.rows),
        single=single,
        listed=listed,
    )


def _postings(column: FieldColumn) -> tuple[FieldPostings, ...]:
    return column.numbers[1], column.truths, column.single[1], column.listed[1]


def _parts(column: FieldColumn, name: str) -> Sequence[npt.NDArray[Any]]:
    """Return what of a column stands in an array, in its order."""
    texts = column.single[0], column.listed[0]
    parts: dict[str, Sequence[npt.NDArray[Any]]] = {
        FIELD_ROWS: [postings.rows for postings in _postings(column)],
        FIELD_STARTS: [postings.starts for postings in _postings(column)],
        FIELD_NUMBERS: [column.numbers[0]],
        FIELD_TEXTS: [each.content for each in texts],
        FIELD_ENDS: [each.ends for each in texts],
    }
    return parts[name]


def _size(entry: _Entry, name: str) -> int:
    """Return how many numbers of an array are those of a column."""
    single, listed = entry.single, entry.listed
    return {
        FIELD_ROWS: entry.number_rows + entry.truth_rows + single.rows + listed.rows,
        # Of truths there are two; and of each kind there is one start more than values.
        FIELD_STARTS: entry.numbers + 2 + single.values + listed.values + 4,
        FIELD_NUMBERS: entry.numbers,
        FIELD_TEXTS: single.bytes + listed.bytes,
        FIELD_ENDS: single.values + listed.values,
    }[name]


@dataclass(frozen=True, slots=True)
class _Runs:
    """Hands out the arrays from their beginning to their end."""

    arrays: dict[str, npt.NDArray[Any]]

    def column(self, entry: _Entry) -> FieldColumn:
        numbers = self._take(FIELD_NUMBERS, entry.numbers)
        number_postings = self._postings(entry.number_rows, entry.numbers)
        truths = self._postings(entry.truth_rows, 2)
        single, listed = (
            (self._texts(each), self._postings(each.rows, each.values)) for each in (entry.single, entry.listed)
        )
        return FieldColumn((numbers, number_postings), truths, single, listed)

    def _texts(self, size: _Texts) -> FieldTexts:
        return FieldTexts(self._take(FIELD_TEXTS, size.bytes), self._take(FIELD_ENDS, size.values))

    def _postings(self, rows: int, values: int) -> FieldPostings:
        return FieldPostings(self._take(FIELD_ROWS, rows), self._take(FIELD_STARTS, values + 1))

    def _take(self, name: str, count: int) -> npt.NDArray[Any]:
        taken, self.arrays[name] = self.arrays[name][:count], self.arrays[name][count:]
        return taken


def _check(column: FieldColumn, count: int) -> None:
    """Raise BundleError unless all that is followed leads somewhere."""
    for postings in _postings(column):
        rows, starts = postings.rows, postings.starts
        fits = rows.min(initial=0) >= 0 and rows.max(initial=-1) < count
        fits &= starts[0] == 0 and starts[-1] == len(rows) and bool((starts[1:] >= starts[:-1]).all())
        _require(bool(fits), f"rows are not within 0..{count - 1}, or begin where they do not")
    for texts, _ in (column.single, column.listed):
        ends = texts.ends
        last = int(ends[-1]) if len(ends) else -1
        _require(last == len(texts.content) - 1, f"texts do not fill their {len(texts.content)} bytes")
        fits = ends.min(initial=0) >= 0 and bool((ends[1:] > ends[:-1]).all())
        _require(fits and bool((texts.content[ends] == END[0]).all()), "texts end where they do not")
    numbers = column.numbers[0]
    _require(not len(numbers) or bool((numbers[1:] > numbers[:-1]).all()), "numbers are not sorted")


def _require(is_right: bool, wrong: str) -> None:
    if not is_right:
        raise BundleError(f"{wrong}; train again")
