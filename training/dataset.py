"""Dataset: the events and items of one source, lazily, in canonical form."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from archive.manifest import is_archive
from engine.errors import ConfigError, DataError
from training.archive import unpack
from training.columns import check_requested
from training.download import fetch_ml_100k
from training.event_frame import canonical_events
from training.item_layers import laid_over
from training.layouts import event_table, item_frame, recognise
from training.recorded_rows import archived_events

ML_100K = "ml-100k"
ALL, TRAIN = "all", "train"


@dataclass(frozen=True, slots=True)
class Dataset:
    """Events by part ("all", or train and perhaps valid and test) and items, as canonical lazy frames."""

    name: str
    parts: dict[str, pl.LazyFrame]
    items: pl.LazyFrame | None
    media: Path | None = None
    """The folder in which images and audio of items are looked for first."""


def open_dataset(
    source: str | Path,
    *,
    cache: Path,
    items: Sequence[Path] = (),
    media: Path | None = None,
    columns: Mapping[str, str] | None = None,
) -> Dataset:
    """Open the data set at `source`: the name "ml-100k" (fetched), or the path of a file, folder or ZIP archive.

    `items` replace those that the layout brings; of an item in several files the last row counts (see laid_over).
    Images and audio are looked for in `media` before the folder of the items file. `columns` maps canonical names to
    the file's own (`--column user_id=uid` on the command line). What is fetched or unpacked goes to `cache`. Every
    event is read once, streaming, to check it. Raises DataError if the source is missing, of no known layout or
    unreadable; ConfigError on a canonical name or a folder of media that does not exist.
    """
    requested = dict(columns or {})
    check_requested(requested)
    layout = recognise(_locate(source, cache))
    parts = {part: _events(path, requested) for part, path in layout.events.items()}
    files = items or ([layout.items] if layout.items else [])
    return Dataset(_name(source), parts, described(files, requested), checked_media(media))


def described(items: Sequence[Path], requested: Mapping[str, str]) -> pl.LazyFrame | None:
    """Return what files say of items; None without a file."""
    frames = [item_frame(path, requested) for path in items]
    return laid_over(frames) if frames else None


def checked_media(media: Path | None) -> Path | None:
    """Return a folder of media; raises ConfigError if it is not there."""
    if media is not None and not media.is_dir():
        raise ConfigError(f"--media {media}: there is no such folder. Give the one that holds images and audio.")
    return media


def _events(path: Path, requested: Mapping[str, str]) -> pl.LazyFrame:
    return archived_events(path) if is_archive(path) else canonical_events(event_table(path), requested)


def _locate(source: str | Path, cache: Path) -> Path:
    if source == ML_100K:
        return fetch_ml_100k(cache)
    path = Path(source)
    if not path.exists():
        raise DataError(f"{path}: there is no such file or folder. Give a path, or the name {ML_100K!r}.")
    return unpack(path, cache) if path.suffix == ".zip" and path.is_file() else path


def _name(source: str | Path) -> str:
    name = Path(source).resolve().name
    return name.split(".")[0] or name
