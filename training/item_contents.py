"""ItemContents: the content of many items, decoded and read from the disk each time that one is asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from typing import overload

from engine.errors import DataError
from engine.item_content import ItemContent

MEDIA = ("image", "audio")
MAX_MEDIA_BYTES = 32 * 1024 * 1024


class ItemContents(Sequence[ItemContent]):
    """Items by index: metadata as encoded JSON, and files that its `image` and `audio` name.

    A file is looked for in `media`, then in the folder that `folders` has for its item; a missing one is absent.
    Reading raises DataError for a path that leaves the folder and for a file over 32 MiB.
    """

    def __init__(
        self, metadata: Sequence[bytes], media: Path | None = None, folders: Sequence[Path | None] = ()
    ) -> None:
        self._metadata = metadata
        self._media = media
        self._folders = folders

    def __len__(self) -> int:
        return len(self._metadata)

    @overload
    def __getitem__(self, index: int) -> ItemContent: ...

    @overload
    def __getitem__(self, index: slice) -> ItemContents: ...

    def __getitem__(self, index: int | slice) -> ItemContent | ItemContents:
        """Read one item, or return some of them unread."""
        if isinstance(index, slice):
            return ItemContents(self._metadata[index], self._media, self._folders[index])
        metadata = json.loads(self._metadata[index])
        files = {kind: self._path(index, metadata.get(kind)) for kind in MEDIA}
        image, audio = (_content(path) if path is not None else None for path in files.values())
        return ItemContent(metadata, image, audio)

    def missing_media(self) -> int:
        """Count the files that are named and not there; looks for all of them, reads none."""
        named = ((index, json.loads(row).get(kind)) for index, row in enumerate(self._metadata) for kind in MEDIA)
        return sum(bool(name) and self._path(index, name) is None for index, name in named)

    def _path(self, index: int, name: object) -> Path | None:
        if not isinstance(name, str) or not name:
            return None
        return next((path for folder in self._searched(index) if (path := _within(folder, name))), None)

    def _searched(self, index: int) -> Iterator[Path]:
        own = self._folders[index] if self._folders else None
        return (folder for folder in (self._media, own) if folder is not None)


def _within(folder: Path, name: str) -> Path | None:
    relative, path = PurePath(name), folder / name
    inside = not relative.is_absolute() and ".." not in relative.parts
    if inside and not _is_file(path):
        return None
    if not inside or not path.resolve().is_relative_to(folder.resolve()):
        raise DataError(
            f"{name!r} names a file outside of {folder}. Name images and audio relative to the folder of the items file"
            " or to --media, and keep the files in it."
        )
    return path


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long, such as a data: URL
        return False


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_MEDIA_BYTES + 1)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}). Make it readable, or remove it.") from error
    if len(content) > MAX_MEDIA_BYTES:
        raise DataError(f"{path} is larger than {MAX_MEDIA_BYTES:,} bytes. Give a smaller one, or remove it.")
    return content
