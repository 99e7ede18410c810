"""GroupLens' files that are no CSV: u.item and u.genre of MovieLens 100K, movies.dat of 1M, 10M, MovieTweetings."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from engine.errors import DataError
from training.item_frame import SCHEMA, split_categories, year_of
from training.tables import head_bytes, open_binary

RATING_COLUMNS = ("user_id", "item_id", "rating", "timestamp")

# The order of the flags in u.item, for a folder without u.genre (README of MovieLens 100K, files.grouplens.org).
GENRES = (
    "unknown",
    "Action",
    "Adventure",
    "Animation",
    "Children's",
    "Comedy",
    "Crime",
    "Documentary",
    "Drama",
    "Fantasy",
    "Film-Noir",
    "Horror",
    "Musical",
    "Mystery",
    "Romance",
    "Sci-Fi",
    "Thriller",
    "War",
    "Western",
)
FIELDS_BEFORE_FLAGS = 5


def read_u_item(path: Path) -> pl.LazyFrame:
    """Read u.item (Latin-1, `|`): id, title, release date, video date, IMDb address, one 0/1 flag per genre.

    Genre names come from u.genre beside it, if it is there. Raises DataError, with the line, if fields are missing.
    """
    genres = _genres(path.with_name("u.genre"))
    expected = FIELDS_BEFORE_FLAGS + len(genres)
    rows = [_film(fields, genres) for fields in _records(path, "|", expected)]
    extra = {"release_date": pl.String, "imdb_url": pl.String}
    return _unique(path, pl.DataFrame(rows, schema={**SCHEMA, **extra}, orient="row"))


def read_movies_dat(path: Path) -> pl.LazyFrame:
    """Read movies.dat (`id::title (year)::genre|genre`, UTF-8 or Latin-1, plain or gzip).

    Raises DataError, with the line, where there are not three fields.
    """
    raw = pl.DataFrame(
        list(_records(path, "::", 3)), schema=dict.fromkeys(("id", "title", "genres"), pl.String), orient="row"
    )
    null = pl.lit(None, dtype=pl.String)
    frame = raw.select(
        pl.col("id").alias("item_id"),
        "title",
        split_categories(pl.col("genres"), "|").alias("categories"),
        year_of(pl.col("title")).alias("year"),
        null.alias("description"),
        null.alias("image"),
        null.alias("audio"),
    )
    return _unique(path, frame)


def _film(fields: Sequence[str], genres: Sequence[str]) -> tuple[object, ...]:
    item_id, title, released, _, address = fields[:FIELDS_BEFORE_FLAGS]
    flags = fields[FIELDS_BEFORE_FLAGS:]
    categories = [genre for genre, flag in zip(genres, flags, strict=True) if flag == "1"]
    year = re.search(r"\d{4}$", released)
    return (
        item_id,
        title,
        categories,
        int(year.group()) if year else None,
        None,
        None,
        None,
        released or None,
        address or None,
    )


def _genres(path: Path) -> tuple[str, ...]:
    if not path.is_file():
        return GENRES
    named = {int(index): name for name, index in _records(path, "|", 2)}
    return tuple(named[index] for index in sorted(named))


def _records(path: Path, separator: str, expected: int) -> Iterator[list[str]]:
    for number, line in enumerate(_text(path).split("\n"), 1):
        fields = line.rstrip("\r").split(separator)
        if fields == [""]:
            continue
        if separator == "::" and len(fields) > expected:
            # a title may hold the separator; the id and the genres never do
            fields = [fields[0], separator.join(fields[1:-1]), fields[-1]]
        if len(fields) != expected:
            raise DataError(
                f"{path}: line {number} has {len(fields)} fields, expected {expected}. Fetch the file again."
            )
        yield fields


def _text(path: Path) -> str:
    head_bytes(path)
    with open_binary(path) as file:
        content = file.read()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        # every byte means something in Latin-1, in which GroupLens wrote these files until 2003
        return content.decode("latin-1")


def _unique(path: Path, frame: pl.DataFrame) -> pl.LazyFrame:
    twice = (
        frame.filter(pl.col("item_id").is_duplicated() | (pl.col("item_id") == ""))["item_id"].unique().sort().head(5)
    )
    if len(twice):
        raise DataError(
            f"{path}: these item ids are missing or occur twice: {twice.to_list()}. Keep one line per item."
        )
    return frame.lazy()
