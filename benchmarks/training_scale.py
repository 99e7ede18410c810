"""How the cost of preparing events and training on them grows with their number, and how much memory it takes.

    python benchmarks/training_scale.py [--events 1e6 1e7 1e8] [--data FOLDER] [--work FOLDER] [--batches N]
                                        [--threads 1]

Events are generated and written as pieces of a Parquet table. The law: lengths of histories are drawn from those of
the real set in FOLDER (train.csv.gz), and so are the popularities of items, of which there are as many for each event
as there; without it, lengths are lognormal (mean 100) and popularity is Zipf's with exponent 1, an item for 100 events.
Users keep to a group of items, and in three of ten cases the next item is the successor of the one before. Rows of a
piece are in random order, ids in an order of their own.

Each size runs in a process of its own: the streamed preparation of all events, then one epoch of SASRec (64 wide, 2
blocks, windows of 50, sampled softmax). With --batches an epoch is cut after so many steps; "share_of_epoch" says what
part of it was run, and nothing is extrapolated. Memory: "anonymous" is what the process holds (largest of samples each
20 ms), "resident" adds the pages of mapped files that the system may drop (VmHWM). The exponent is the slope of log
seconds over log events: of the preparation, and of an epoch by the seconds for each event that was trained on, plus 1.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import result

# A script finds its own folder first, and there a file that is called as the package is.
sys.path.insert(0, str(Path(__file__).parents[1]))

PIECE = 2_000_000
GROUP = 500
AT_HOME, FOLLOWING = 0.8, 0.3
YEAR = 365 * 86_400.0
SCALES: dict[str, Any] = {
    "ranker": {"model": "none"},
    "ratings": {"model": "bias"},
    "report": False,
    "stream": True,
    "window": {"max_length": 50},
    "retriever": {"model": "sasrec", "loss": "sampled_softmax", "negatives": 1_024, "events_per_batch": 8_192},
}


class Law:
    """How long histories are and how popular items."""

    def __init__(self, events: int, data: Path | None) -> None:
        lengths, popularity = _real(data) if data else _stated()
        self.lengths = lengths
        self.items = max(math.ceil(events * len(popularity) / popularity.sum() / GROUP), 1) * GROUP
        # Items of the same place in their groups are equally popular.
        places = np.quantile(popularity, np.linspace(1, 0, GROUP), method="nearest")
        self.cumulative = np.cumsum(places) / places.sum()

    def piece(self, random: np.random.Generator, first_user: int, events: int) -> tuple[pl.DataFrame, int]:
        """Return so many events of new users, and the first user of the next piece."""
        lengths = random.choice(self.lengths, events // int(self.lengths.mean()) * 2 + 1)
        users = int(np.searchsorted(np.cumsum(lengths), events)) + 1
        lengths = lengths[:users]
        lengths[-1] = events - lengths[:-1].sum()
        user = np.repeat(np.arange(first_user, first_user + users), lengths)
        time_of = np.repeat(random.uniform(0, YEAR, users), lengths) + np.arange(events) % PIECE * 60.0
        frame = pl.DataFrame({"user": user, "item": self._items(random, users, lengths), "timestamp": 1e9 + time_of})
        # Scattered, so that neighbours in the order of ids come from everywhere.
        ids = [(pl.col(name) * 2_654_435_761 % 2**32).cast(pl.String).alias(f"{name}_id") for name in ("user", "item")]
        shuffled = frame[random.permutation(events)]
        return shuffled.select(*ids, pl.col("timestamp").round()), first_user + users

    def _items(self, random: np.random.Generator, users: int, lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        events = int(lengths.sum())
        groups = self.items // GROUP
        home = np.repeat(random.integers(0, groups, users), lengths)
        group = np.where(random.random(events) < AT_HOME, home, random.integers(0, groups, events))
        item = group * GROUP + np.minimum(np.searchsorted(self.cumulative, random.random(events)), GROUP - 1)
        following = np.flatnonzero(random.random(events) < FOLLOWING)[1:]
        item[following] = item[following - 1] // GROUP * GROUP + (item[following - 1] + 1) % GROUP
        return item


def _real(data: Path) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    events = pl.read_csv(data / "train.csv.gz", infer_schema=False)
    return tuple(events.group_by(name).len()["len"].to_numpy().astype(np.int64) for name in ("user_id", "item_id"))


def _stated() -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    lengths = np.random.default_rng(0).lognormal(math.log(100) - 0.5, 1.0, 10_000).astype(np.int64).clip(3)
    popularity = 1e5 / np.arange(1, 10_001)
    return lengths, (popularity * 1e6 / popularity.sum()).astype(np.int64).clip(1)


def write(events: int, law: Law, folder: Path) -> None:
    folder.mkdir(parents=True)
    random, first_user = np.random.default_rng(1), 0
    for number, start in enumerate(range(0, events, PIECE)):
        frame, first_user = law.piece(random, first_user, min(PIECE, events - start))
        frame.write_parquet(folder / f"{number:04}.parquet")


class Peak:
    """Follows the anonymous memory of this process; a context manager."""

    def __init__(self) -> None:
        self.anonymous = 0
        self._done = Event()
        self._thread = Thread(target=self._follow, daemon=True)

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _follow(self) -> None:
        while not self._done.wait(0.02):
            self.anonymous = max(self.anonymous, kilobytes("RssAnon"))


def kilobytes(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


class Stages:
    """Seconds of the clock, of the processor, and the largest anonymous memory of each stage."""

    def __init__(self) -> None:
        self.taken: dict[str, dict[str, float]] = {}

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        clock, processor = time.perf_counter(), time.process_time()
        with Peak() as peak:
            yield
        seconds = {"seconds": time.perf_counter() - clock, "processor_seconds": time.process_time() - processor}
        self.taken[name] = {key: round(value, 2) for key, value in seconds.items()}
        self.taken[name]["anonymous_mb"] = round(peak.anonymous / 1024)


def measured(source: Path, work: Path, batches: int, threads: int) -> dict[str, Any]:
    """Prepare and train in this process."""
    import torch

    from training.config import TrainingConfig
    from training.dataset import open_dataset
    from training.fit import Stage
    from training.item_statistics import ItemStatistics
    from training.randomness import Randomness
    from training.retriever_training import RetrieverTraining
    from training.streamed_preparation import streamed

    torch.set_num_threads(threads)
    stages = Stages()
    config = TrainingConfig.model_validate(SCALES)
    if batches:
        config = config.model_copy(update={"retriever": config.retriever.model_copy(update={"batches": batches})})
    with stages.of("open"):
        dataset = open_dataset(source, cache=work)
    with stages.of("prepare"):
        preparation = streamed(dataset, config, work / "events")
    interactions = preparation.interactions()
    with stages.of("count"):
        ItemStatistics.of(interactions, interactions.columns, config)
    training = RetrieverTraining(config, config.retriever, preparation.window, interactions)
    cuts = training._plan(interactions.columns, np.random.default_rng(0))
    places = [int((cuts[1] - cuts[0])[slice(*cut)].sum()) for cut in cuts[2]]
    steps = min(batches or len(places), len(places))
    stage = Stage("sasrec", config.metric, Randomness(1, "sasrec"))
    with stages.of("epoch"):
        trained = training.run(interactions.columns, None, 1, stage)
    return {
        "training_events": int(interactions.columns.offsets[-1]),
        "users": len(interactions.user_ids),
        "items": len(preparation.vocabulary),
        "stages": stages.taken,
        "steps": steps,
        "share_of_epoch": round(steps / len(places), 4),
        "trained_events": round(sum(places) * steps / len(places)),
        "loss": round(trained.curve[-1].loss, 4),
        "peak_anonymous_mb": max(stage["anonymous_mb"] for stage in stages.taken.values()),
        "peak_resident_mb": round(kilobytes("VmHWM") / 1024),
    }


def exponent(events: list[float], seconds: list[float]) -> float | None:
    """Return the least-squares slope of log seconds over log events."""
    return round(float(np.polyfit(np.log(events), np.log(seconds), 1)[0]), 3) if len(events) > 1 else None


def growth(rows: dict[str, dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    sizes = [float(row["events"]) for row in rows.values()]
    for clock in ("seconds", "processor_seconds"):
        prepared = [sum(row["stages"][name][clock] for name in ("open", "prepare", "count")) for row in rows.values()]
        an_event = [row["stages"]["epoch"][clock] / row["trained_events"] for row in rows.values()]
        found[clock] = {
            "preparation": exponent(sizes, prepared),
            "epoch": exponent(sizes, [size * seconds for size, seconds in zip(sizes, an_event, strict=True)]),
            "microseconds_a_trained_event": [round(1e6 * seconds, 2) for seconds in an_event],
        }
    return found


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", nargs="+", type=float, default=[1e6, 1e7, 1e8])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "training-scale")
    parser.add_argument("--batches", type=int, default=0, help="steps at most; 0 trains a whole epoch")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def run(events: int, options: argparse.Namespace) -> dict[str, Any]:
    source, work = options.work / f"{events}-source", options.work / f"{events}-work"
    for folder in (source, work):
        shutil.rmtree(folder, ignore_errors=True)
    work.mkdir(parents=True)
    started = time.perf_counter()
    write(events, Law(events, options.data), source)
    print(f"{events:,} events written in {time.perf_counter() - started:.0f} s", flush=True)
    arguments = ["--child", source, "--work", work, "--batches", options.batches, "--threads", options.threads]
    environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads), "POLARS_MAX_THREADS": str(options.threads)}
    done = subprocess.run(
        [sys.executable, __file__, *map(str, arguments)], env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    for folder in (source, work):
        shutil.rmtree(folder)
    return {"events": events, **json.loads(done.stdout.splitlines()[-1])}


def main() -> None:
    options = parsed()
    if options.child:
        print(json.dumps(measured(options.child, options.work, options.batches, options.threads)))
        return
    rows: dict[str, dict[str, Any]] = {}
    for events in map(int, options.events):
        rows[f"{events:,} events"] = run(events, options)
        print(json.dumps(rows[f"{events:,} events"]), flush=True)
        law = f"as in {options.data.name}" if options.data else "lognormal lengths, Zipf's popularity"
        facts = {"law": law, "threads": options.threads, "growth_exponents": growth(rows)}
        print(json.dumps(facts["growth_exponents"]))
        result.write("training-scale", result.command(), rows, **facts)


if __name__ == "__main__":
    main()
