"""ItemEncoding: from what a client sends of items to content vectors, beside the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from engine.audio_decoding import check_audio
from engine.errors import DataError, LiverecError
from engine.image_decoding import thumbnail
from engine.item_content import ItemContent

THUMBNAIL = 256
"""Pixels a side of what is kept of an image; content networks read less."""
MAX_PIXELS = 16_000_000
"""A file of 100 KB may have so many; decoding takes up to 20 bytes for each."""
BATCH = 32

Vector = npt.NDArray[np.float32]
Result = TypeVar("Result")


class ContentNetwork(Protocol):
    """What the bundle has to read items with."""

    @property
    def version(self) -> str:
        """The sha256 of the network."""
        ...

    def has_content(self, content: ItemContent) -> bool:
        """Return whether there is anything that the network can read."""
        ...

    def encode(self, contents: Sequence[ItemContent]) -> Vector:
        """Return content vectors [B,V]."""
        ...


class ItemEncoding:
    """Works in a thread, one batch at a time: the cores of a worker belong to its answers."""

    def __init__(self, network: ContentNetwork | None) -> None:
        self._network = network
        self._turn = asyncio.Lock()

    @property
    def version(self) -> str | None:
        """The sha256 of the content network; None if there is none."""
        return None if self._network is None else self._network.version

    async def vectors(self, item_ids: Sequence[str], contents: Sequence[ItemContent]) -> list[Vector | None]:
        """Return content vectors, None where there is nothing to read; raises DataError naming a damaged item."""
        found: list[Vector | None] = []
        for start in range(0, len(contents), BATCH):
            batch = await self.readings(contents[start : start + BATCH])
            for item_id, reading in zip(item_ids[start : start + BATCH], batch, strict=True):
                found.append(_unless_wrong(item_id, reading))
        return found

    async def readings(self, contents: Sequence[ItemContent]) -> list[Vector | LiverecError | None]:
        """Return what `vectors` does, with the error in place of what cannot be read: one item spoils no other."""
        try:
            return [*await self._in_turn(partial(self._encoded, contents))]
        except LiverecError as error:
            if len(contents) == 1:
                return [error]
            return [(await self.readings([content]))[0] for content in contents]

    async def thumbnail(self, item_id: str, image: bytes) -> bytes:
        """Return the image as it is kept: a JPEG of at most 256 pixels a side; raises DataError naming the item."""
        try:
            return await self._in_turn(partial(thumbnail, image, THUMBNAIL, MAX_PIXELS))
        except DataError as error:
            raise DataError(f"image of item {item_id!r}: {error}") from error

    async def check_sound(self, item_id: str, sound: bytes) -> None:
        """Raise DataError naming the item unless a sound is one, as far as that shows without decoding it."""
        try:
            await self._in_turn(partial(check_audio, sound))
        except DataError as error:
            raise DataError(f"audio of item {item_id!r}: {error}") from error

    async def _in_turn(self, work: Callable[[], Result]) -> Result:
        async with self._turn:
            return await asyncio.to_thread(work)

    def _encoded(self, contents: Sequence[ItemContent]) -> list[Vector | None]:
        if self._network is None:
            return [None] * len(contents)
        rows = [row for row, content in enumerate(contents) if self._network.has_content(content)]
        vectors = self._network.encode([contents[row] for row in rows]) if rows else ()
        found: list[Vector | None] = [None] * len(contents)
        for row, vector in zip(rows, vectors, strict=True):
            found[row] = np.array(vector, dtype=np.float32)
        return found


def _unless_wrong(item_id: str, reading: Vector | LiverecError | None) -> Vector | None:
    if isinstance(reading, LiverecError):
        raise type(reading)(f"content of item {item_id!r}: {reading}", **reading.members) from reading
    return reading
