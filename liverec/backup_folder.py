"""BackupFolder: what a store kept for a tenant, as files that prove themselves."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Literal, Self

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.stored_value import FORGOTTEN, StoredValue
from engine.errors import DataError
from engine.file_digest import file_digest

MANIFEST, SEAL = "manifest.json", "manifest.sha256"
MOST_MANIFEST_BYTES = 64 * 1024 * 1024
ROWS_A_FILE = 500_000
ROWS_AT_ONCE = 20_000
SCHEMA = pl.Schema(
    {
        "key": pl.String(),
        "kind": pl.String(),
        "field": pl.Binary(),
        "value": pl.Binary(),
        "score": pl.Float64(),
        "expires_at": pl.Int64(),
    }
)


class BackupFile(BaseModel):
    """One file of values."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rows: int = Field(ge=0)
    bytes: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class BackupManifest(BaseModel):
    """The manifest.json of a backup."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format_version: Literal[1] = 1
    liverec_version: str = Field(default_factory=lambda: metadata.version("liverec"))
    created_at: str = Field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    tenant: str
    partitions: int = Field(ge=1)
    began_at: int = Field(ge=0)
    """The store's clock before anything was read, unix milliseconds: what it took in later may be missing."""
    files: dict[str, BackupFile]

    @property
    def backup_id(self) -> str:
        """Twelve hex digits that name exactly this backup."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class BackupFolder:
    """Numbered Parquet files of values, in the order in which they must be put back."""

    folder: Path
    manifest: BackupManifest

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Check every byte; raises DataError that names the file which is damaged."""
        path = folder / MANIFEST
        if not path.is_file() or path.stat().st_size > MOST_MANIFEST_BYTES:
            raise DataError(f"{folder} is no backup: it has no {MANIFEST}; `liverec backup --out FOLDER` makes one")
        encoded, seal = path.read_bytes(), folder / SEAL
        if not seal.is_file() or seal.read_text("latin-1") != hashlib.sha256(encoded).hexdigest():
            raise DataError(f"{path} is damaged: it differs from {SEAL}; use another backup")
        try:
            manifest = BackupManifest.model_validate_json(encoded)
        except ValidationError as error:
            raise DataError(f"{path} cannot be read by this version ({error.error_count()} errors)") from error
        for name, entry in manifest.files.items():
            _check(folder / name, entry)
        return cls(folder, manifest)

    def values(self) -> Iterator[list[StoredValue]]:
        """Give all values in lots."""
        for name in sorted(self.manifest.files):
            for lot in pl.read_parquet(self.folder / name, schema=SCHEMA).iter_slices(ROWS_AT_ONCE):
                yield [StoredValue(*row) for row in lot.iter_rows()]

    def text(self, key: str) -> bytes | None:
        """Return the value of a key that holds a text."""
        found = self._scan().filter(pl.col("key") == key).select("value").collect()
        return None if found.is_empty() else bytes(found.item(0, 0))

    def fields(self, key: str) -> dict[str, str]:
        """Return a key that holds a hash of texts."""
        found = self._scan().filter(pl.col("key") == key).select("field", "value").collect()
        return {field.decode(): value.decode() for field, value in found.iter_rows()}

    def forgotten(self) -> dict[int, dict[str, int]]:
        """Return by partition the pseudonyms of users who were forgotten, with the version up to which they are."""
        everyone: dict[int, dict[str, int]] = {}
        partition = pl.col("key").str.extract(rf"^\{{p(\d+)\}}:{FORGOTTEN}$").cast(pl.Int64).alias("partition")
        found = self._scan().select(partition, "field", "value").drop_nulls("partition").collect()
        for number, field, value in found.iter_rows():
            everyone.setdefault(number, {})[field.decode()] = int(value)
        return everyone

    def _scan(self) -> pl.LazyFrame:
        return pl.scan_parquet([self.folder / name for name in sorted(self.manifest.files)], schema=SCHEMA)


class BackupWriting:
    """Collects values into files of a folder; `finish` writes the manifest."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._rows: list[StoredValue] = []
        self._files: dict[str, BackupFile] = {}

    def add(self, values: Sequence[StoredValue]) -> None:
        """Take values in their order."""
        self._rows += values
        if len(self._rows) >= ROWS_A_FILE:
            self._write()

    def finish(self, tenant: str, partitions: int, began_at: int) -> BackupManifest:
        """Write what is left, and the manifest with its seal."""
        self._write()
        manifest = BackupManifest(tenant=tenant, partitions=partitions, began_at=began_at, files=self._files)
        encoded = manifest.model_dump_json(indent=2).encode()
        (self._folder / MANIFEST).write_bytes(encoded)
        (self._folder / SEAL).write_text(hashlib.sha256(encoded).hexdigest())
        return manifest

    def _write(self) -> None:
        path = self._folder / f"values-{len(self._files):06d}.parquet"
        pl.DataFrame(self._rows, SCHEMA, orient="row").write_parquet(path)
        self._files[path.name] = BackupFile(rows=len(self._rows), bytes=path.stat().st_size, sha256=file_digest(path))
        self._rows = []


def _check(path: Path, entry: BackupFile) -> None:
    if not path.is_file() or path.stat().st_size != entry.bytes or file_digest(path) != entry.sha256:
        raise DataError(f"{path} is missing or damaged: its sha256 is not the manifest's; use another backup")
