"""BundleFolder: the files of a bundle, none of which is believed before its size and its digest were found right."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.array_file import Shape, mapped_array, mapped_bytes
from engine.atomic import flush
from engine.bundle_key import BundleKey
from engine.bundle_layout import (
    MANIFEST,
    METADATA,
    METADATA_OFFSETS,
    MOST_FILES,
    MOST_ITEM_BYTES,
    MOST_MANIFEST_BYTES,
    SEAL,
    SIGNATURE,
    UNFINISHED_SIGNATURE,
    most_bytes,
    most_metadata,
    needed,
)
from engine.bundle_signature import MOST_SIGNATURE_BYTES, BundleSignature
from engine.errors import BundleError
from engine.file_digest import at_once
from engine.file_stamp import FileStamp
from engine.manifest import FileEntry, Manifest
from engine.packed_texts import OFFSET, PackedTexts
from engine.unreadable import named, unreadable
from engine.voucher import Voucher

SEAL_BYTES = 64
AGAIN = "copy or train the bundle again"


@dataclass(frozen=True, slots=True)
class BundleFolder:
    """A folder whose manifest was found right, and the key that signed it, if one did.

    seal: the sha256 of the manifest. stamps: what `checked` found; what is read later must be the very same files.
    is_vouched: whether all of them were checked, and what is in them too, by the process that started this one.
    """

    path: Path
    manifest: Manifest
    seal: str
    signed_by: str | None
    stamps: Mapping[str, FileStamp] = field(default_factory=dict)
    is_vouched: bool = False

    @classmethod
    def open(cls, path: Path, public_keys: Collection[str] = ()) -> BundleFolder:
        """Read the manifest, and refuse it unless one of the keys signed it, if there are any; nothing else is read."""
        encoded = _sealed(path)
        return cls._parsed(path, encoded, _signer(path / SIGNATURE, encoded, public_keys))

    @classmethod
    def sign(cls, path: Path, key: BundleKey) -> None:
        """Write the signature of a bundle whose bytes are all as its manifest says, in the place of any other."""
        encoded = _sealed(path)
        cls._parsed(path, encoded, None).checked()
        _put(path / UNFINISHED_SIGNATURE, path / SIGNATURE, key.sign(encoded).encode())

    @classmethod
    def _parsed(cls, path: Path, encoded: bytes, signed_by: str | None) -> BundleFolder:
        with unreadable(path / MANIFEST):
            return cls(path, Manifest.from_json(encoded), hashlib.sha256(encoded).hexdigest(), signed_by)

    def checked(self, voucher: Voucher | None = None, threads: int | None = None) -> BundleFolder:
        """Return the folder to read from; raises BundleError unless all files, and no others, are as the manifest says.

        Digests are computed by so many threads, one for each core if None is said. Nothing is read if a voucher
        for this manifest knows all the files.
        """
        present = self._present()
        if strange := present ^ self.manifest.files.keys():
            state = "missing" if strange - present else "not in the manifest"
            raise BundleError(f"{self.path / min(strange)} is {state}; {AGAIN}")
        if absent := needed(self.manifest) - present:
            raise BundleError(f"{self.path / min(absent)} is missing; {AGAIN}")
        # All sizes before any digest: to find one takes as long as the file is large.
        stamps = {name: self._stamp(name, entry) for name, entry in self.manifest.files.items()}
        is_vouched = voucher is not None and voucher.seal == self.seal and voucher.stamps == stamps
        checked = replace(self, stamps=stamps, is_vouched=is_vouched)
        if not is_vouched:
            # The largest first, or all would wait for it in the end.
            at_once(checked._check_digest, sorted(stamps, key=lambda name: -stamps[name].size), threads)
        return checked

    def voucher(self, began: int) -> Voucher | None:
        """Return what tells others that all was right; None for files that had just changed at `began`, in ns since
        1970: a further change might not show.
        """
        if not all(stamp.is_settled(began) for stamp in self.stamps.values()):
            return None
        return Voucher(self.seal, self.stamps)

    def read(self, name: str) -> bytes:
        """Return what is in a file."""
        with self._opened(name) as file, unreadable(self.path / name):
            return file.read(self.manifest.files[name].bytes)

    def lines(self, name: str, count: int) -> list[bytes]:
        """Return the metadata of so many items, a line each, after a look at the size of the file."""
        path = self.path / name
        self._check_metadata_size(name, count)
        lines: list[bytes] = []
        with self._opened(name) as file:
            while line := file.readline(MOST_ITEM_BYTES + 1):
                if len(line) > MOST_ITEM_BYTES or len(lines) == count:
                    raise BundleError(
                        f"{path} has more than {count} lines, or one of more than {MOST_ITEM_BYTES} bytes; shorten it"
                    )
                lines.append(line.rstrip(b"\r\n"))
        return lines

    def array(
        self, name: str, rows: int | None, columns: int | None = None, dtype: npt.DTypeLike = np.float32
    ) -> npt.NDArray[Any]:
        """Map an array file; raises BundleError unless it has this type and shape, None being any up to MOST_WIDTH."""
        return self._mapped(name, (rows, columns), dtype)

    def numbers(self, name: str, count: int, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """Map a file of so many numbers in a row; raises BundleError on anything else."""
        return self._mapped(name, (count,), dtype)

    def texts(self, name: str, offsets: str, count: int, most: int) -> PackedTexts:
        """Map so many texts, each of at most so many bytes; raises BundleError on anything else."""
        with self._opened(name) as file, unreadable(self.path / name):
            content = mapped_bytes(file, self.manifest.files[name].bytes)
        texts = PackedTexts(content, self.numbers(offsets, count + 1, OFFSET))
        if not self.is_vouched:
            with named(self.path / name):
                texts.check(most)
        return texts

    def metadata(self, count: int) -> PackedTexts:
        """Map the metadata of so many items."""
        self._check_metadata_size(METADATA, count)
        return self.texts(METADATA, METADATA_OFFSETS, count, MOST_ITEM_BYTES)

    def _check_metadata_size(self, name: str, count: int) -> None:
        size, most = self.manifest.files[name].bytes, most_metadata(count)
        if size > most:
            path = self.path / name
            raise BundleError(f"{path} has {size} bytes, and at most {most} are read of {count} items; shorten them")

    def _mapped(self, name: str, shape: Shape, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        path = self.path / name
        with self._opened(name) as file, unreadable(path):
            return mapped_array(file, path, self.manifest.files[name].bytes, shape, dtype)

    def _opened(self, name: str) -> BufferedReader:
        """Open a file that was checked; another that stands in its place by now is not opened."""
        file = _opened(self.path / name)
        if FileStamp.of(file) == self.stamps[name]:
            return file
        file.close()
        raise BundleError(f"{self.path / name} has changed while the bundle was opened; open it again")

    def _check_digest(self, name: str) -> None:
        path = self.path / name
        with self._opened(name) as file, unreadable(path):
            if hashlib.file_digest(file, "sha256").hexdigest() != self.manifest.files[name].sha256:
                raise BundleError(f"{path} is damaged: its sha256 is not the manifest's; {AGAIN}")
            if FileStamp.of(file) != self.stamps[name]:
                raise BundleError(f"{path} has changed while it was read; open the bundle again")

    def _present(self) -> set[str]:
        present: set[str] = set()
        with unreadable(self.path), os.scandir(self.path) as entries:
            for entry in entries:
                present.add(entry.name)
                if len(present) > MOST_FILES:
                    raise BundleError(f"{self.path} has more than {MOST_FILES} files, which no bundle has; {AGAIN}")
        return present - {MANIFEST, SEAL, SIGNATURE, UNFINISHED_SIGNATURE}

    def _stamp(self, name: str, entry: FileEntry) -> FileStamp:
        """Return the stamp of a file that is as large as the manifest says."""
        path, most = self.path / name, most_bytes(name, self.manifest)
        if entry.bytes > most:
            raise BundleError(
                f"{path} has {entry.bytes} bytes, and at most {most} are read of such a file of"
                f" {self.manifest.data.items} items; train again"
            )
        with _opened(path) as file:
            stamp = FileStamp.of(file)
        if stamp.size != entry.bytes:
            raise BundleError(
                f"{path} is damaged: it has {stamp.size} bytes, not the manifest's {entry.bytes}; {AGAIN}"
            )
        return stamp


def _put(temporary: Path, path: Path, content: bytes) -> None:
    """Write a file whole or not at all; what a killed writer left goes, and no link is followed."""
    with unreadable(temporary, "delete it and sign again"):
        temporary.unlink(missing_ok=True)
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644), "wb") as file:
            file.write(content)
        flush(temporary)
        temporary.replace(path)
        flush(path.parent)


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
