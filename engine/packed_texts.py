"""PackedTexts: many short texts as one array of bytes, which can be memory-mapped."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import BinaryIO, overload

import numpy as np
import numpy.typing as npt

from engine.errors import BundleError

LOT = 65_536
END = b"\n"
OFFSET = np.dtype("<i8")
CONTINUES, CONTINUED = 0xC0, 0x80
"""Of the bits of a byte of UTF-8: those that tell, and what they are where it does not begin a character."""

Content = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]


class PackedTexts(Sequence[bytes]):
    """M texts, each followed by a newline: text n is content[offsets[n] : offsets[n + 1] - 1], offsets int64 [M+1].

    A text may have newlines itself: only the offsets say where it ends.
    """

    def __init__(self, content: Content, offsets: Offsets) -> None:
        self.content = content
        self.offsets = offsets
        # An element of an array takes several times as long to read.
        self._content, self._offsets = content.data, offsets.data

    @classmethod
    def of(cls, texts: Iterable[bytes]) -> PackedTexts:
        """Pack texts in memory."""
        file = io.BytesIO()
        offsets = _packed(texts, file)
        return cls(np.frombuffer(file.getbuffer(), np.uint8), offsets)

    @staticmethod
    def write(texts: Sequence[bytes], content: Path, offsets: Path) -> None:
        """Write content and offsets of texts, of which no second copy is made."""
        with content.open("wb") as file:
            if isinstance(texts, PackedTexts):
                file.write(texts._content)
                np.save(offsets, texts.offsets, allow_pickle=False)
            else:
                np.save(offsets, _packed(texts, file), allow_pickle=False)

    def __len__(self) -> int:
        return len(self._offsets) - 1

    @overload
    def __getitem__(self, place: int) -> bytes: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[bytes]: ...
    def __getitem__(self, place: int | slice) -> bytes | Sequence[bytes]:
        if isinstance(place, slice):
            return [self[each] for each in range(*place.indices(len(self)))]
        if place < 0:
            place = range(len(self))[place]
        return bytes(self._content[self._offsets[place] : self._offsets[place + 1] - 1])

    def check(self, most: int) -> None:
        """Raise BundleError unless the offsets fit the content, with texts of at most so many bytes."""
        offsets = self.offsets
        if not len(offsets) or offsets[0] != 0 or offsets[-1] != len(self.content):
            raise BundleError(f"the offsets of texts do not fit their {len(self.content)} bytes; train again")
        for start in range(0, len(offsets), LOT):
            lengths = np.diff(offsets[start : start + LOT + 1]) - 1
            if lengths.min(initial=0) < 0 or lengths.max(initial=0) > most:
                raise BundleError(f"a text of {lengths.max()} bytes is longer than {most}, or two overlap; train again")

    def check_encoding(self) -> None:
        """Raise BundleError unless each text, once they are known to fit the content, is UTF-8 of its own."""
        for start in range(0, len(self), LOT):
            offsets = self.offsets[start : start + LOT + 1]
            lot = self.content[offsets[0] : offsets[-1]]
            first = lot[offsets[:-1] - offsets[0]]
            try:
                lot.tobytes().decode()
            except UnicodeDecodeError as error:
                raise BundleError(f"a text from number {start} on is no UTF-8 ({error.reason}); train again") from error
            if ((first & CONTINUES) == CONTINUED).any() or (lot[offsets[1:] - offsets[0] - 1] != END[0]).any():
                raise BundleError(f"a text from number {start} on begins or ends within a character; train again")


def _packed(texts: Iterable[bytes], file: BinaryIO) -> Offsets:
    """Write texts one after the other, and return where each begins, and the end."""
    source, lengths = iter(texts), [np.zeros(1, OFFSET)]
    while lot := list(islice(source, LOT)):
        file.write(END.join(lot) + END)
        lengths.append(np.fromiter(map(len, lot), OFFSET, len(lot)) + 1)
    return np.cumsum(np.concatenate(lengths), dtype=OFFSET)
