"""EventBuckets: the events of a stream, put on disk in buckets of neighbouring users, each small enough for memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt
import polars as pl

# One event: codes of its user, item and kind, what is null, and the row of the source.
RECORD = np.dtype(
    [
        ("user", "<u4"),
        ("item", "<u4"),
        ("kind", "u1"),
        ("null", "u1"),
        ("value", "<f8"),
        ("timestamp", "<f8"),
        ("row", "<u8"),
    ]
)
Records = np.ndarray[tuple[int], np.dtype[np.void]]
MISSING = np.uint32(0xFFFFFFFF)
BATCH = 250_000
BUCKET = 500_000
PLACES = {"value": 1, "timestamp": 2}


@dataclass(frozen=True, slots=True)
class Names:
    """All ids of the source, sorted, and its kinds of events: a code is a place in these."""

    users: pl.Series
    items: pl.Series
    kinds: pl.Series
    types: Mapping[str, pl.Enum]

    @classmethod
    def of(cls, events: pl.LazyFrame) -> tuple[Names, npt.NDArray[np.int64]]:
        """Read the ids of a canonical frame; and the number of events of each user."""
        counts = {name: _counted(events, name) for name in ("user_id", "item_id", "kind")}
        series = {name: frame[name] for name, frame in counts.items()}
        types = {name: pl.Enum(known) for name, known in series.items()}
        names = cls(series["user_id"], series["item_id"], series["kind"], types)
        return names, counts["user_id"]["len"].to_numpy().astype(np.int64)

    def codes(self, name: str, ids: pl.Series) -> npt.NDArray[np.uint32]:
        """Return the codes of a column of ids; MISSING where there is none."""
        codes = ids.cast(self.types[name]).to_physical().cast(pl.UInt32)
        return codes.fill_null(int(MISSING)).to_numpy()

    def shortened(self, events: pl.DataFrame) -> pl.DataFrame:
        """Return canonical events with ids that take four bytes."""
        return events.cast(dict(self.types))  # type: ignore[arg-type]

    def frame(self, records: Records) -> pl.DataFrame:
        """Return records as a canonical frame."""
        ids = {"user_id": (self.users, "user"), "item_id": (self.items, "item"), "kind": (self.kinds, "kind")}
        columns = {name: _decoded(series, records[code]) for name, (series, code) in ids.items()}
        numbers = {name: _nullable(records[name], records["null"] & bit) for name, bit in PLACES.items()}
        return pl.DataFrame({**columns, **numbers, "row": np.ascontiguousarray(records["row"])})


class EventBuckets:
    """A folder with one file of records a bucket; users ascend from bucket to bucket."""

    def __init__(self, folder: Path, names: Names, sizes: npt.NDArray[np.int64], bucket: int = BUCKET) -> None:
        """Take the number of events of each user; a bucket has about `bucket` of them."""
        self._folder = folder
        self._names = names
        self._of_user = (np.cumsum(sizes) - sizes) // bucket
        self.count = int(self._of_user[-1]) + 1 if len(sizes) else 0

    def fill(self, events: pl.LazyFrame, batch: int = BATCH) -> None:
        """Sort the events of a canonical frame into the buckets, some at a time."""
        self._folder.mkdir(parents=True)
        with ExitStack() as stack:
            files = [stack.enter_context(self._path(number).open("wb")) for number in range(self.count)]
            for frame in events.collect_batches(chunk_size=batch, maintain_order=True):
                for part in frame.iter_slices(batch):
                    self._write(self._records(part), files)

    def drain(self) -> Iterator[Records]:
        """Yield the records of one bucket after the other, and delete it."""
        for number in range(self.count):
            path = self._path(number)
            yield np.fromfile(path, dtype=RECORD)
            path.unlink()
        self._folder.rmdir()

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:06}.bin"

    def _records(self, frame: pl.DataFrame) -> Records:
        records = np.zeros(len(frame), dtype=RECORD)
        records["user"] = self._names.codes("user_id", frame["user_id"])
        records["item"] = self._names.codes("item_id", frame["item_id"])
        records["kind"] = self._names.codes("kind", frame["kind"])
        records["row"] = frame["row"].to_numpy()
        for name, bit in PLACES.items():
            records[name] = frame[name].fill_null(0.0).to_numpy()
            records["null"] |= frame[name].is_null().to_numpy().astype(np.uint8) * np.uint8(bit)
        return records

    def _write(self, records: Records, files: Sequence[IO[bytes]]) -> None:
        # Whoever has no user is dropped by cleaning, which counts them.
        users = np.where(records["user"] == MISSING, 0, records["user"])
        buckets = self._of_user[users]
        order = np.argsort(buckets, kind="stable")
        found, starts = np.unique(buckets[order], return_index=True)
        for number, part in zip(found.tolist(), np.split(records[order], starts[1:]), strict=True):
            part.tofile(files[number])


def _counted(events: pl.LazyFrame, name: str) -> pl.DataFrame:
    counts = events.filter(pl.col(name).is_not_null()).group_by(name).agg(pl.len())
    return counts.collect(engine="streaming").sort(name)


def _decoded(names: pl.Series, codes: npt.NDArray[np.integer]) -> pl.Series:
    known = pl.Series(np.ascontiguousarray(codes)).cast(pl.UInt32)
    return names.gather(known.set(known == int(MISSING), None))


def _nullable(numbers: npt.NDArray[np.float64], null: npt.NDArray[np.integer]) -> pl.Series:
    return pl.Series(np.ascontiguousarray(numbers)).set(pl.Series(null > 0), None)
