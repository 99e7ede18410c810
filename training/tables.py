"""Raw tables: delimited text, JSON lines and Parquet, scanned lazily, every row with the line it came from."""

import csv
import glob
import gzip
import json
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import polars as pl

from engine.errors import DataError

ROW = "__row__"
HEAD_BYTES = 64 * 1024
SEPARATORS = (",", "\t", ";", "|")
JSON_LINES = (".jsonl", ".jsonl.gz")


@dataclass(frozen=True, slots=True)
class Table:
    """One file as a lazy frame.

    `frame` holds `columns` (text files: all String) and `ROW`, UInt64: the 1-based line number in a text file, where
    a header counts and a quoted field may span lines, or the 1-based record number in a Parquet file. `separator` is
    None where the format has none.
    """

    path: Path
    columns: tuple[str, ...]
    frame: pl.LazyFrame
    separator: str | None = None
    quoted: bool = False


def scan_delimited(
    path: Path, *, separator: str | None = None, names: Sequence[str] | None = None, quoted: bool = True
) -> Table:
    """Scan separated text, plain or gzip.

    `names` are the columns of a file without a header. Without `separator`, the one of `, tab ; |` that is most
    frequent in the header line counts. Raises DataError on a missing, empty or binary file or a header that repeats a
    name.
    """
    head = _first_line(path)
    separator = separator or max(SEPARATORS, key=head.count)
    columns = tuple(names) if names else _header(path, head, separator)
    frame = pl.scan_csv(
        path,
        separator=separator,
        has_header=names is None,
        schema=dict.fromkeys(columns, pl.String),
        quote_char='"' if quoted else None,
        row_index_name=ROW,
        row_index_offset=1 if names else 2,
        glob=False,
    )
    return Table(path, columns, frame.with_columns(_line_number(columns, quoted)), separator, quoted)


def scan_fields(path: Path, separator: str, names: Sequence[str]) -> Table:
    """Scan headerless lines whose separator is longer than one character, plain or gzip.

    A line with another number of fields keeps its whole text in every column after the ids, so that reading it as a
    number fails and names the line.
    """
    _first_line(path)
    line = pl.col("line").str.strip_prefix("\ufeff")
    fields = line.str.split(separator)
    whole = fields.list.len() == len(names)
    columns = [fields.list.get(i, null_on_oob=True).alias(name) for i, name in enumerate(names)]
    columns[2:] = [
        pl.when(whole).then(column).otherwise(line).alias(column.meta.output_name()) for column in columns[2:]
    ]
    lines = pl.scan_lines(path, name="line", row_index_name=ROW, row_index_offset=1, glob=False)
    return Table(path, tuple(names), lines.select(pl.col(ROW).cast(pl.UInt64), *columns))


def scan_parquet(path: Path) -> Table:
    """Scan a Parquet file; raises DataError if it is missing, empty or no Parquet."""
    require_content(path)
    return _typed(path, pl.scan_parquet(path, row_index_name=ROW, row_index_offset=1, glob=False))


def scan_parquet_pieces(folder: Path) -> Table:
    """Scan the Parquet files of a folder as one table, by their names; raises DataError as `scan_parquet` does."""
    pieces = sorted(folder.glob("*.parquet"))
    for piece in pieces:
        require_content(piece)
    frame = pl.scan_parquet(pieces, row_index_name=ROW, row_index_offset=1, glob=False, hive_partitioning=False)
    return _typed(folder, frame)


def scan_json_lines(path: Path) -> Table:
    """Scan JSON objects, one a line, plain or gzip; raises DataError if the file is missing, empty or no JSON lines.

    ROW counts the lines that are not blank. All of the file is read to tell the types.
    """
    head_bytes(path)
    # scan_ndjson has no glob=False
    name = glob.escape(str(path))
    return _typed(path, pl.scan_ndjson(name, infer_schema_length=None, row_index_name=ROW, row_index_offset=1))


def _typed(path: Path, frame: pl.LazyFrame) -> Table:
    table = Table(path, (), frame)
    with reading(table):
        names = frame.collect_schema().names()
    return Table(path, tuple(n for n in names if n != ROW), frame.with_columns(pl.col(ROW).cast(pl.UInt64)))


@contextmanager
def reading(table: Table) -> Iterator[None]:
    """Turn what polars says about a damaged file into a DataError that names the file and, where possible, the line."""
    try:
        yield
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = _fault(table) or str(error).splitlines()[0]
        raise DataError(
            f"{table.path}: {reason}. Repair the file, or save it again as UTF-8 text or Parquet."
        ) from error


def require_content(path: Path) -> None:
    """Raise DataError unless `path` is a file that is not empty."""
    if not path.is_file():
        raise DataError(f"{path}: there is no such file. Check the path.")
    if path.stat().st_size == 0:
        raise DataError(f"{path}: the file is empty. Was it copied completely?")


def head_bytes(path: Path) -> bytes:
    """Give the first 64 KiB after decompression; raises DataError on an empty, damaged or binary file."""
    require_content(path)
    try:
        with open_binary(path) as file:
            head = file.read(HEAD_BYTES)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: the compressed data are damaged ({error}). Fetch the file again.") from error
    if not head.strip():
        raise DataError(f"{path}: the file is empty. Was it copied completely?")
    if b"\0" in head:
        raise DataError(f"{path}: this is binary data, not text. Expected CSV, TSV or Parquet with its own suffix.")
    return head


def open_binary(path: Path) -> BinaryIO:
    """Open a file for reading, decompressed if it is gzip by its first two bytes, whatever its name."""
    with path.open("rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
    return cast(BinaryIO, gzip.open(path, "rb")) if compressed else path.open("rb")


def _first_line(path: Path) -> str:
    line = head_bytes(path).partition(b"\n")[0]
    try:
        return line.decode("utf-8-sig").rstrip("\r")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: line 1 is not valid UTF-8 ({error.reason}). Save the file as UTF-8.") from error


def _header(path: Path, line: str, separator: str) -> tuple[str, ...]:
    names = next(csv.reader([line], delimiter=separator), [])
    twice = sorted({name for name in names if names.count(name) > 1})
    if not names or twice:
        problem = f"the header names {twice} more than once" if twice else "line 1 is blank where the header belongs"
        raise DataError(f"{path}: {problem}. Give every column a name of its own.")
    return tuple(names)


def _line_number(columns: Sequence[str], quoted: bool) -> pl.Expr:
    if not quoted:
        return pl.col(ROW).cast(pl.UInt64)
    # polars counts records; a quoted line break makes every later record start one line further down
    breaks = pl.sum_horizontal(pl.col(columns).str.count_matches("\n", literal=True).fill_null(0)).cast(pl.UInt64)
    return pl.col(ROW) + breaks.cum_sum() - breaks


def _fault(table: Table) -> str | None:
    """Find the first line that is not UTF-8, breaks a quote or has too many fields; slow, so on failure only."""
    if table.path.suffix == ".parquet" or table.path.is_dir():
        return None
    try:
        with open_binary(table.path) as file:
            return _bad_text(file) or (_bad_json if table.path.name.endswith(JSON_LINES) else _bad_record)(table)
    except (OSError, EOFError, zlib.error) as error:
        return f"the compressed data are damaged ({error})"


def _bad_text(file: BinaryIO) -> str | None:
    for number, line in enumerate(file, 1):
        try:
            line.decode("utf-8")
        except UnicodeDecodeError as error:
            return f"line {number} is not valid UTF-8 (byte 0x{line[error.start]:02x})"
    return None


def _bad_json(table: Table) -> str | None:
    with open_binary(table.path) as file:
        for number, line in enumerate(file, 1):
            try:
                is_object = not line.strip() or isinstance(json.loads(line), dict)
            except ValueError:
                is_object = False
            if not is_object:
                return f"line {number} is no JSON object"
    return None


def _bad_record(table: Table) -> str | None:
    if table.separator is None:
        return None
    with open_binary(table.path) as file:
        lines = (line.decode("utf-8") for line in file)
        quote = '"' if table.quoted else None
        records = csv.reader(lines, delimiter=table.separator, quotechar=quote, strict=True)
        try:
            for record in records:
                if len(record) > len(table.columns):
                    return f"line {records.line_num} has {len(record)} fields, expected {len(table.columns)}"
        except csv.Error as error:
            return f"line {records.line_num}: {error}"
    return None
