"""Epochs: the clock of a driver, and what it tells whoever started it; runs in any peer's own environment.

A driver's standard output is one JSON line an epoch: its number, the seconds of training so far (without making lists),
those of the processor, and the item ids for each user, best first. What else a library prints goes to standard error.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

LIST_LENGTH = 10


class Epochs:
    """Runs while a library trains; stopped while lists are made."""

    def __init__(self) -> None:
        self._lines = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)
        self._count = 0
        self._seconds = self._processor_seconds = 0.0

    def start(self) -> None:
        self._started, self._processor_started = time.perf_counter(), time.process_time()

    def stop(self) -> None:
        self._seconds += time.perf_counter() - self._started
        self._processor_seconds += time.process_time() - self._processor_started

    def report(self, lists: Mapping[str, Sequence[str]]) -> None:
        self._count += 1
        line = {"epoch": self._count, "seconds": self._seconds, "processor_seconds": self._processor_seconds}
        self._lines.write(json.dumps({**line, "lists": lists}) + "\n")
        self._lines.flush()


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--network", required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def events(data: Path, part: str) -> Iterator[dict[str, str]]:
    """Yield the events of train or valid: user_id, item_id, rating, timestamp."""
    with gzip.open(data / f"{part}.csv.gz", "rt", newline="") as file:
        yield from csv.DictReader(file)
