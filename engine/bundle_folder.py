"""BundleFolder: the files of a bundle, none of which is believed before its size and its digest were found right."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Collection
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.atomic import flush
from engine.bundle_key import BundleKey
from engine.bundle_layout import (
    MANIFEST,
    MOST_FILES,
    MOST_ITEM_BYTES,
    MOST_MANIFEST_BYTES,
    MOST_WIDTH,
    SEAL,
    SIGNATURE,
    UNFINISHED_SIGNATURE,
    most_bytes,
    most_metadata,
    needed,
)
from engine.bundle_signature import MOST_SIGNATURE_BYTES, BundleSignature
from engine.errors import BundleError
from engine.manifest import FileEntry, Manifest
from engine.unreadable import unreadable

SEAL_BYTES = 64
AGAIN = "copy or train the bundle again"
ARRAY_VERSION = (1, 0)


@dataclass(frozen=True, slots=True)
class BundleFolder:
    """A folder whose manifest was found right, and the key that signed it, if one did."""

    path: Path
    manifest: Manifest
    signed_by: str | None

    @classmethod
    def open(cls, path: Path, public_keys: Collection[str] = ()) -> BundleFolder:
        """Read the manifest, and refuse it unless one of the keys signed it, if there are any; nothing else is read."""
        encoded = _sealed(path)
        return cls._parsed(path, encoded, _signer(path / SIGNATURE, encoded, public_keys))

    @classmethod
    def sign(cls, path: Path, key: BundleKey) -> None:
        """Write the signature of a bundle whose bytes are all as its manifest says, in the place of any other."""
        encoded = _sealed(path)
        cls._parsed(path, encoded, None).check()
        _put(path / UNFINISHED_SIGNATURE, path / SIGNATURE, key.sign(encoded).encode())

    @classmethod
    def _parsed(cls, path: Path, encoded: bytes, signed_by: str | None) -> BundleFolder:
        with unreadable(path / MANIFEST):
            return cls(path, Manifest.from_json(encoded), signed_by)

    def check(self) -> None:
        """Raise BundleError unless all files, and no others, are there as the manifest says."""
        present = self._present()
        if strange := present ^ self.manifest.files.keys():
            state = "missing" if strange - present else "not in the manifest"
            raise BundleError(f"{self.path / min(strange)} is {state}; {AGAIN}")
        if absent := needed(self.manifest) - present:
            raise BundleError(f"{self.path / min(absent)} is missing; {AGAIN}")
        # All sizes before any digest: to find one takes as long as the file is large.
        for name, entry in self.manifest.files.items():
            self._check_size(name, entry)
        for name, entry in self.manifest.files.items():
            with _opened(self.path / name) as file, unreadable(self.path / name):
                if hashlib.file_digest(file, "sha256").hexdigest() != entry.sha256:
                    raise BundleError(f"{self.path / name} is damaged: its sha256 is not the manifest's; {AGAIN}")

    def read(self, name: str) -> bytes:
        """Return what is in a file."""
        return _read(self.path / name, self.manifest.files[name].bytes)

    def lines(self, name: str, count: int) -> list[bytes]:
        """Return the metadata of so many items, a line each, after a look at the size of the file."""
        path, size = self.path / name, self.manifest.files[name].bytes
        if size > (most := most_metadata(count)):
            raise BundleError(f"{path} has {size} bytes, and at most {most} are read of {count} items; shorten them")
        lines: list[bytes] = []
        with _opened(path) as file:
            while line := file.readline(MOST_ITEM_BYTES + 1):
                if len(line) > MOST_ITEM_BYTES or len(lines) == count:
                    raise BundleError(
                        f"{path} has more than {count} lines, or one of more than {MOST_ITEM_BYTES} bytes; shorten it"
                    )
                lines.append(line.rstrip(b"\r\n"))
        return lines

    def array(
        self, name: str, rows: int | None, columns: int | None = None, dtype: type[np.generic] = np.float32
    ) -> npt.NDArray[Any]:
        """Map an array file; raises BundleError unless it has this type and shape, None being any up to MOST_WIDTH."""
        path, wanted = self.path / name, np.dtype(dtype)
        with unreadable(path), _opened(path) as file:
            if np.lib.format.read_magic(file) != ARRAY_VERSION:
                raise BundleError(f"{path} is of another version of array files; train again")
            shape, is_transposed, found = np.lib.format.read_array_header_1_0(file)
            if found != wanted or len(shape) != 2 or is_transposed:
                is_in = "column by column" if is_transposed else "row by row"
                raise BundleError(
                    f"{path} is {found} with {len(shape)} dimensions, {is_in}; wanted {wanted} with 2, row by row;"
                    " train again"
                )
            if not all(_fits(*pair) for pair in zip(shape, (rows, columns), strict=True)):
                limits = tuple(f"0..{MOST_WIDTH}" if each is None else each for each in (rows, columns))
                raise BundleError(f"{path} is for {shape} numbers, wanted {limits}; train again")
            if file.tell() + shape[0] * shape[1] * wanted.itemsize != self.manifest.files[name].bytes:
                raise BundleError(f"{path} is damaged: it is not as large as its {shape} numbers; {AGAIN}")
            return np.load(path, mmap_mode="r", allow_pickle=False)  # type: ignore[no-any-return]

    def _present(self) -> set[str]:
        present: set[str] = set()
        with unreadable(self.path), os.scandir(self.path) as entries:
            for entry in entries:
                present.add(entry.name)
                if len(present) > MOST_FILES:
                    raise BundleError(f"{self.path} has more than {MOST_FILES} files, which no bundle has; {AGAIN}")
        return present - {MANIFEST, SEAL, SIGNATURE, UNFINISHED_SIGNATURE}

    def _check_size(self, name: str, entry: FileEntry) -> None:
        path, most = self.path / name, most_bytes(name, self.manifest)
        if entry.bytes > most:
            raise BundleError(
                f"{path} has {entry.bytes} bytes, and at most {most} are read of such a file of"
                f" {self.manifest.data.items} items; train again"
            )
        with _opened(path) as file:
            size = os.fstat(file.fileno()).st_size
        if size != entry.bytes:
            raise BundleError(f"{path} is damaged: it has {size} bytes, not the manifest's {entry.bytes}; {AGAIN}")


def _put(temporary: Path, path: Path, content: bytes) -> None:
    """Write a file whole or not at all; what a killed writer left goes, and no link is followed."""
    with unreadable(temporary, "delete it and sign again"):
        temporary.unlink(missing_ok=True)
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644), "wb") as file:
            file.write(content)
        flush(temporary)
        temporary.replace(path)
        flush(path.parent)


def _fits(size: int, wanted: int | None) -> bool:
    return size == wanted or (wanted is None and size <= MOST_WIDTH)


def _opened(path: Path) -> BufferedReader:
    """Open a file of the folder itself: no link, which may lead anywhere, and no pipe, which may never answer."""
    with unreadable(path):
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        file = os.fdopen(descriptor, "rb") if stat.S_ISREG(os.fstat(descriptor).st_mode) else None
        if file is None:
            os.close(descriptor)
            raise BundleError(f"{path} is no plain file; copy the bundle again, without links")
        return file


def _read(path: Path, most: int) -> bytes:
    with _opened(path) as file, unreadable(path):
        if os.fstat(file.fileno()).st_size > most:
            raise BundleError(f"{path} is damaged: it has more than {most} bytes; {AGAIN}")
        return file.read(most)


def _sealed(path: Path) -> bytes:
    """Return the manifest, unless it differs from its seal."""
    manifest = path / MANIFEST
    if not os.path.lexists(manifest):
        raise BundleError(f"{path} is no bundle: it has no {MANIFEST}; `liverec train --out {path}` makes one")
    encoded = _read(manifest, MOST_MANIFEST_BYTES)
    if _read(path / SEAL, SEAL_BYTES) != hashlib.sha256(encoded).hexdigest().encode():
        raise BundleError(f"{manifest} is damaged: it differs from {SEAL}; {AGAIN}")
    return encoded


def _signer(path: Path, manifest: bytes, public_keys: Collection[str]) -> str | None:
    if not os.path.lexists(path):
        if public_keys:
            raise BundleError(f"{path} is missing, and only signed bundles are trusted; `liverec bundle sign` makes it")
        return None
    try:
        signature = BundleSignature.decode(_read(path, MOST_SIGNATURE_BYTES))
        signature.check(manifest, public_keys)
    except BundleError as error:
        raise BundleError(f"{path}: {error}") from error
    return signature.public_key
