"""ArchiveManifest: which files an archive consists of, and how far they go. Replacing it is what commits a change."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from archive.log_id import order_of
from engine.atomic import write_atomically
from engine.errors import DataError

MANIFEST = "manifest.json"
FORMAT = "liverec-archive/1"
LogId = Annotated[str, Field(pattern=r"^\d{1,20}-\d{1,20}$")]
Day = Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]


class ArchiveFile(BaseModel):
    """One Parquet file of events that arrived on one day (UTC)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^events/day=\d{4}-\d{2}-\d{2}/\d{1,12}\.parquet$")
    day: Day
    rows: int = Field(ge=1)
    bytes: int = Field(ge=1)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    first_id: LogId
    last_id: LogId


class ArchiveManifest(BaseModel):
    """`offsets`: of each partition the newest log id that was archived.

    `forgotten`: by partition, of users who were forgotten the pseudonym and the version of their last event that had to
    go. `days_removed`: the last day that retention removed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: str = FORMAT
    archive_id: str = Field(default_factory=lambda: uuid.uuid4().hex, pattern=r"^[0-9a-f]{32}$")
    tenant: str
    partitions: int = Field(ge=1, le=16_384)
    next_number: int = Field(default=0, ge=0)
    offsets: dict[int, LogId] = Field(default_factory=dict)
    files: tuple[ArchiveFile, ...] = ()
    forgotten: dict[int, dict[str, int]] = Field(default_factory=dict)
    days_removed: Day | None = None

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read the manifest of an archive; raises DataError if there is none or it cannot be read."""
        path = folder / MANIFEST
        try:
            return cls._checked(path, path.read_bytes())
        except FileNotFoundError:
            raise DataError(f"{folder}: there is no {MANIFEST}, so this is no archive of events") from None

    @classmethod
    def _checked(cls, path: Path, content: bytes) -> Self:
        try:
            manifest = cls.model_validate_json(content)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise DataError(f"{path}: {place}: {first['msg']}. Restore it from a backup.") from error
        if manifest.format != FORMAT:
            raise DataError(f"{path}: the format is {manifest.format!r}, this version of liverec reads {FORMAT!r}")
        return manifest

    def write(self, folder: Path) -> None:
        """Replace the manifest of an archive; when this returns, it is on disk."""
        write_atomically(folder / MANIFEST, self.model_dump_json(indent=1).encode())

    @property
    def rows(self) -> int:
        """The number of events."""
        return sum(file.rows for file in self.files)

    def is_past(self, partition: int, log_id: str) -> bool:
        """Tell whether a log id is at or before what was archived of its partition."""
        offset = self.offsets.get(partition)
        return offset is not None and order_of(log_id) <= order_of(offset)

    def moved(self, newest: Mapping[int, str]) -> dict[int, str]:
        """Return the offsets after these ids were archived; none goes back."""
        ahead = {partition: log_id for partition, log_id in newest.items() if not self.is_past(partition, log_id)}
        return self.offsets | ahead

    def with_files(
        self, added: Iterable[ArchiveFile], removed: Iterable[ArchiveFile] = (), **changes: object
    ) -> ArchiveManifest:
        """Return the manifest with other files, and further fields changed."""
        gone, new = {file.name for file in removed}, tuple(added)
        files = tuple(file for file in self.files if file.name not in gone) + new
        numbers = [int(Path(file.name).stem) + 1 for file in new]
        number = max([self.next_number, *numbers])
        return self.model_copy(update={"files": files, "next_number": number, **changes})


def is_archive(path: Path) -> bool:
    """Tell whether a folder looks like an archive of events."""
    try:
        return path.is_dir() and f'"{FORMAT.partition("/")[0]}/' in (path / MANIFEST).read_text("utf-8")[:200]
    except (OSError, UnicodeDecodeError):
        return False
