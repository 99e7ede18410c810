"""FieldTexts: the distinct texts of a field, sorted, as bytes that are held once."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import overload

import numpy as np
import numpy.typing as npt

# No byte of UTF-8.
END = b"\xff"
FEW_BYTES = 3
LOT = 65_536


def encoded(text: str) -> bytes:
    """Return UTF-8, whose order is that of code points; a lone surrogate, which JSON may hold, stands for itself."""
    return text.encode("utf-8", "surrogatepass")


def _all_encoded(texts: Sequence[str]) -> list[bytes]:
    try:
        return list(map(str.encode, texts))
    except UnicodeEncodeError:
        return list(map(encoded, texts))


class FieldTexts(Sequence[bytes]):
    """The texts as a sequence of UTF-8, memory-mapped or not, each followed by a byte that no text has.

    content uint8; text n ends before content[ends[n]], ends int64 [V].
    """

    def __init__(self, content: npt.NDArray[np.uint8], ends: npt.NDArray[np.int64]) -> None:
        self.content = content
        self.ends = ends
        self._bytes = content.data

    @classmethod
    def of(cls, texts: Iterable[str]) -> FieldTexts:
        """Encode sorted texts."""
        file, source = io.BytesIO(), iter(texts)
        while lot := list(islice(source, LOT)):
            file.write(END.join(_all_encoded(lot)) + END)
        content = np.frombuffer(file.getbuffer(), np.uint8)
        return cls(content, np.flatnonzero(content == END[0]))

    def __len__(self) -> int:
        return len(self.ends)

    @overload
    def __getitem__(self, code: int) -> bytes: ...
    @overload
    def __getitem__(self, code: slice) -> Sequence[bytes]: ...
    def __getitem__(self, code: int | slice) -> bytes | Sequence[bytes]:
        if isinstance(code, slice):
            return [self[each] for each in range(*code.indices(len(self)))]
        return bytes(self._bytes[self.ends[code - 1] + 1 if code else 0 : self.ends[code]])

    def containing(self, part: str) -> npt.NDArray[np.bool_]:
        """Return which texts have a part within them, [V]; the empty part is within each."""
        found = np.zeros(len(self), dtype=bool)
        # No match goes over the end of a text, since there is a byte that no part has.
        places = places_of(self.content, encoded(part)) if part else self.ends
        found[np.searchsorted(self.ends, places)] = True
        return found


def places_of(content: npt.NDArray[np.uint8], part: bytes, is_overlapping: bool = False) -> npt.NDArray[np.int64]:
    """Return where a part of one byte or more stands; of places that overlap perhaps one alone."""
    if len(part) <= FEW_BYTES and len(part) <= len(content):
        return _of_few(content, part)
    pattern = b"(?=" + re.escape(part) + b")" if is_overlapping else re.escape(part)
    return np.fromiter((match.start() for match in re.finditer(pattern, content.data)), np.int64)


def _of_few(content: npt.NDArray[np.uint8], part: bytes) -> npt.NDArray[np.int64]:
    """Return the same for what may stand millions of times, one by one of which would take long."""
    count = len(content) - len(part) + 1
    is_there = content[:count] == part[0]
    for step in range(1, len(part)):
        is_there &= content[step : step + count] == part[step]
    return np.flatnonzero(is_there)
