"""FieldTexts: the distinct texts of a field, sorted, as bytes that are held once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain, repeat
from typing import overload

import numpy as np
import numpy.typing as npt

# No byte of UTF-8.
END = b"\xff"
FEW_BYTES = 3


def encoded(text: str) -> bytes:
    """Return UTF-8, whose order is that of code points; a lone surrogate, which JSON may hold, stands for itself."""
    return text.encode("utf-8", "surrogatepass")


def _all_encoded(texts: Sequence[str]) -> list[bytes]:
    try:
        return list(map(str.encode, texts))
    except UnicodeEncodeError:
        return list(map(encoded, texts))


class FieldTexts(Sequence[bytes]):
    """The texts as a sequence of UTF-8; objects of Python would take several times the memory."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._bytes = b"".join(chain.from_iterable(zip(_all_encoded(texts), repeat(END), strict=False)))
        self._ends = np.flatnonzero(np.frombuffer(self._bytes, np.uint8) == END[0])

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, code: int) -> bytes: ...
    @overload
    def __getitem__(self, code: slice) -> Sequence[bytes]: ...
    def __getitem__(self, code: int | slice) -> bytes | Sequence[bytes]:
        if isinstance(code, slice):
            return [self[each] for each in range(*code.indices(len(self)))]
        return self._bytes[self._ends[code - 1] + 1 if code else 0 : self._ends[code]]

    def containing(self, part: str) -> npt.NDArray[np.bool_]:
        """Return which texts have a part within them, [V]; the empty part is within each."""
        found = np.zeros(len(self), dtype=bool)
        found[np.searchsorted(self._ends, self._places(encoded(part)))] = True
        return found

    def _places(self, part: bytes) -> npt.NDArray[np.int64]:
        """Return where the part stands, at least once for each text that has it."""
        if not part:
            return self._ends
        if len(part) <= FEW_BYTES and len(part) <= len(self._bytes):
            return self._of_few(part)
        # No match goes over the end of a text, since there is a byte that no part has.
        return np.fromiter((match.start() for match in re.finditer(re.escape(part), self._bytes)), np.int64)

    def _of_few(self, part: bytes) -> npt.NDArray[np.int64]:
        """Return the same for what may stand millions of times, one by one of which would take long."""
        everything = np.frombuffer(self._bytes, np.uint8)
        count = len(everything) - len(part) + 1
        is_there = everything[:count] == part[0]
        for step in range(1, len(part)):
            is_there &= everything[step : step + count] == part[step]
        return np.flatnonzero(is_there)
