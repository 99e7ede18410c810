"""The layouts that data sets come in: what a file or a folder holds, told by the names in it.

| layout | events | items |
|---|---|---|
| given split | train.*, valid.* and test.* where there are any | items.* |
| MovieLens 100K | u.data; or one of its folds by the path of its .base file | u.item |
| MovieLens latest, 20M, 25M, 32M | ratings.csv | movies.csv |
| MovieLens 1M, 10M, MovieTweetings | ratings.dat | movies.dat |
| RecBole atomic files | NAME.inter | NAME.item |
| archive of events | its folder, by its manifest.json | - |
| a table in pieces | a folder of nothing but .parquet files, in the order of their names | - |
| any one table | a .csv, .tsv, .parquet or .jsonl file | - |

Text may be gzip (.csv.gz, .tsv.gz, .dat.gz, .jsonl.gz). A folder's events are no .jsonl.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from archive.manifest import is_archive
from engine.errors import DataError
from training.grouplens import RATING_COLUMNS, read_movies_dat, read_u_item
from training.item_frame import FOLDER, canonical_items
from training.tables import (
    JSON_LINES,
    Table,
    require_content,
    scan_delimited,
    scan_fields,
    scan_json_lines,
    scan_parquet,
    scan_parquet_pieces,
)

TABLES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet")
READABLE = (*TABLES, *JSON_LINES)
DAT = (".dat", ".dat.gz")


@dataclass(frozen=True, slots=True)
class Layout:
    """Which files of a data set hold events, by part ("all", or train, valid, test), and which its items."""

    events: Mapping[str, Path]
    items: Path | None = None


def recognise(path: Path) -> Layout:
    """Tell the layout of a file or an unpacked folder; raises DataError if there is none or more than one."""
    if is_archive(path):
        return Layout({"all": path})
    if path.is_dir():
        return _folder(_inner(path))
    require_content(path)
    if path.suffix == ".base":
        return _fold(path)
    return Layout({"all": path}, _items_beside(path))


def event_table(path: Path) -> Table:
    """Scan a file of events by its name; raises DataError if nothing can read such a name."""
    if _is_100k(path.name):
        return scan_delimited(path, separator="\t", names=RATING_COLUMNS, quoted=False)
    if path.name.endswith(DAT):
        return scan_fields(path, "::", RATING_COLUMNS)
    return read_table(path)


def item_frame(path: Path, requested: Mapping[str, str]) -> pl.LazyFrame:
    """Read a file of items by its name, with its folder; raises DataError if nothing can read its name or content."""
    return _items(path, requested).with_columns(pl.lit(str(path.parent.resolve())).alias(FOLDER))


def _items(path: Path, requested: Mapping[str, str]) -> pl.LazyFrame:
    if path.name == "u.item":
        return read_u_item(path)
    if path.name.endswith(DAT):
        return read_movies_dat(path)
    # RecBole separates the entries of a token sequence by blanks
    return canonical_items(read_table(path), requested, " " if path.suffix == ".item" else "|")


def read_table(path: Path) -> Table:
    """Scan a table by its name; raises DataError if nothing can read such a name."""
    if path.is_dir():
        return scan_parquet_pieces(path)
    if path.suffix == ".parquet":
        return scan_parquet(path)
    if path.suffix in (".inter", ".item"):
        return scan_delimited(path, separator="\t", quoted=False)
    if path.name.endswith((".tsv", ".tsv.gz")):
        return scan_delimited(path, separator="\t")
    if path.name.endswith(TABLES):
        return scan_delimited(path)
    if path.name.endswith(JSON_LINES):
        return scan_json_lines(path)
    require_content(path)
    raise DataError(f"{path}: a file of this name cannot be read. Give one that ends in {', '.join(READABLE)}.")


def _is_100k(name: str) -> bool:
    return name == "u.data" or (name.startswith("u") and name.endswith((".base", ".test")))


def _folder(folder: Path) -> Layout:
    layouts = {name: layout for name, read in LAYOUTS.items() if (layout := read(folder))}
    if not layouts and len(tables := _of_suffixes(folder, "", TABLES)) == 1:
        return Layout({"all": tables[0]})
    if not layouts and tables and all(entry.suffix == ".parquet" for entry in folder.iterdir()):
        return Layout({"all": folder})
    if len(layouts) == 1:
        return next(iter(layouts.values()))
    there = ", ".join(sorted(entry.name for entry in folder.iterdir())[:12]) or "nothing"
    problem = f"holds several data sets ({', '.join(layouts)})" if layouts else "is a folder of no known layout"
    raise DataError(
        f"{folder}: {problem}. It contains: {there}. Expected u.data, ratings.csv, ratings.dat, NAME.inter, train.csv "
        "or one table of events; give the path of that file."
    )


def _inner(folder: Path) -> Path:
    """Step into an archive's only folder."""
    entries = [entry for entry in folder.iterdir() if not entry.name.startswith((".", "__MACOSX"))]
    return _inner(entries[0]) if len(entries) == 1 and entries[0].is_dir() else folder


def _split(folder: Path) -> Layout | None:
    files = {part: _one(folder, part, TABLES) for part in ("train", "valid", "test")}
    events = {part: file for part, file in files.items() if file}
    return Layout(events, _one(folder, "items", READABLE)) if "train" in events else None


def _movielens_100k(folder: Path) -> Layout | None:
    data = folder / "u.data"
    return Layout({"all": data}, _items_beside(data)) if data.is_file() else None


def _movielens_csv(folder: Path) -> Layout | None:
    ratings = _one(folder, "ratings", TABLES)
    return Layout({"all": ratings}, _items_beside(ratings)) if ratings else None


def _movielens_dat(folder: Path) -> Layout | None:
    ratings = _one(folder, "ratings", DAT)
    return Layout({"all": ratings}, _items_beside(ratings)) if ratings else None


def _atomic(folder: Path) -> Layout | None:
    inter = _only(folder, sorted(folder.glob("*.inter")))
    return Layout({"all": inter}, _items_beside(inter)) if inter else None


def _fold(base: Path) -> Layout:
    test = base.with_suffix(".test")
    require_content(test)
    return Layout({"train": base, "test": test}, _items_beside(base))


def _items_beside(events: Path) -> Path | None:
    """Find the items that belong to a file of events: by its layout's own name for them."""
    if _is_100k(events.name):
        items = events.with_name("u.item")
    elif events.suffix == ".inter":
        items = events.with_suffix(".item")
    elif events.name.startswith("ratings."):
        return _one(events.parent, "movies", DAT if events.name.endswith(DAT) else TABLES)
    else:
        return None
    return items if items.is_file() else None


def _one(folder: Path, stem: str, suffixes: tuple[str, ...]) -> Path | None:
    return _only(folder, _of_suffixes(folder, stem, suffixes))


def _only(folder: Path, files: list[Path]) -> Path | None:
    if len(files) > 1:
        raise DataError(f"{folder}: {' and '.join(f.name for f in files)} are there at once. Keep one of them.")
    return files[0] if files else None


def _of_suffixes(folder: Path, stem: str, suffixes: tuple[str, ...]) -> list[Path]:
    names = [f"{stem}{suffix}" for suffix in suffixes]
    files = (entry for entry in folder.iterdir() if entry.is_file())
    return sorted(file for file in files if (file.name in names if stem else file.name.endswith(suffixes)))


LAYOUTS: Mapping[str, Callable[[Path], Layout | None]] = {
    "given split": _split,
    "MovieLens 100K": _movielens_100k,
    "MovieLens CSV": _movielens_csv,
    "MovieLens DAT": _movielens_dat,
    "RecBole": _atomic,
}
