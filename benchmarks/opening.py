"""What a bundle costs to open, and what each further worker has to itself, at 10 thousand, 1 million, 10 million items.

    python benchmarks/opening.py [--items 10000 1000000 10000000] [--folder FOLDER] [--index] [--requests 300]

For each size a bundle is made (catalogue_world.py), and then opened as the service does, with its probe recomputed: by
a process that reads it from the disk, by one that finds it in the page cache, and by two workers at once, for which the
process that started them vouches. Each has loaded the service before the clock starts, and answers requests and filters
before its memory is read: what it alone has written (Private_Dirty of smaps_rollup), with what it had before it opened,
and its share of all (Pss). The ceiling in the same run is `read`: SHA-256 over as many bytes that are in memory
already, on all cores. Bundles are deleted after, but for --folder.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.synchronize import Barrier
from pathlib import Path

import numpy as np
import result

sys.path.insert(0, str(Path(__file__).parents[1]))
from engine.bundle import Bundle
from engine.events import Event, History
from engine.query import Query
from engine.voucher import Voucher

MEGABYTE = 1 << 20
USERS = 100
Row = dict[str, float]


def memory() -> Row:
    """Return megabytes of this process that no other has, and its share of all."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]
    found = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines}
    return {"private": found["Private_Dirty"], "share of all": found["Pss"]}


def histories(bundle: Bundle, seed: int) -> list[list[str]]:
    """Return histories of popular and of any items."""
    random, items = np.random.default_rng(seed), bundle.items
    rows = (random.random((USERS, 50)) ** 6 * len(items)).astype(np.int64)
    order = items.popular.of_bundle
    return [[items.vocabulary.id_of(int(order[row])) for row in own] for own in rows]


def open_and_answer(
    folder: Path, voucher: Voucher | None, asked: list[list[str]], requests: int, together: Barrier | None
) -> tuple[Row, Voucher | None]:
    """Open a bundle as a worker does; return seconds and megabytes."""
    import app.service  # noqa: F401 (what every worker has loaded)

    before = memory()
    if together is not None:
        together.wait()
    began, cpu = time.perf_counter(), time.process_time()
    bundle = Bundle.open(folder, voucher=voucher)
    opened = time.perf_counter()
    recommender = bundle.recommender()
    bundle.probe.check(recommender)
    proven, cpu = time.perf_counter(), time.process_time() - cpu
    for number in range(requests):
        own = asked[number % len(asked)]
        events = (Event("user", item_id, "rating", 4.0, 1_000.0 * step) for step, item_id in enumerate(own))
        answer = recommender.recommend([Query(History.of(tuple(events)), 10)])[0]
        for item in answer.items:
            bundle.items.metadata_of(bundle.items.vocabulary.index_of(item.item_id))
    answered = (time.perf_counter() - proven) / max(requests, 1)
    if together is not None:
        together.wait()
    after = memory()
    row = {"seconds to open": opened - began, "seconds with the probe": proven - began, "cpu seconds": cpu}
    row |= {"milliseconds a request": 1e3 * answered}
    row |= {f"{name} MB": after[name] for name in after} | {
        "private MB by the bundle": after["private"] - before["private"]
    }
    return {name: round(value, 2) for name, value in row.items()}, bundle.voucher


def forget(folder: Path) -> None:
    """Have the system drop the files from its page cache."""
    for path in folder.iterdir():
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def read(size: int) -> float:
    """Return in how many seconds all cores together compute SHA-256 over so many bytes that need not be read."""
    cores, content = len(os.sched_getaffinity(0)), bytes(16 * MEGABYTE)
    rounds = max(size // (len(content) * cores), 1)
    with ThreadPoolExecutor(cores) as pool:
        began = time.perf_counter()
        list(pool.map(lambda _: [hashlib.sha256(content).digest() for _ in range(rounds)], range(cores)))
    return round((time.perf_counter() - began) * size / (rounds * cores * len(content)), 2)


def measure(folder: Path, requests: int, seed: int) -> dict[str, object]:
    spawn = multiprocessing.get_context("spawn")
    bundle = Bundle.open(folder)
    asked, items = histories(bundle, seed), len(bundle.items)
    size = sum(entry.bytes for entry in bundle.manifest.files.values())
    del bundle
    rows: dict[str, object] = {"items": items, "bundle MB": round(size / MEGABYTE), "read, seconds": read(size)}
    forget(folder)
    for name in ("first, from the disk", "first, from the page cache"):
        with spawn.Pool(1) as pool:
            rows[name], voucher = pool.apply(open_and_answer, (folder, None, asked, requests, None))
    assert voucher is not None, "the files are too new to be vouched for"
    with spawn.Manager() as manager, spawn.Pool(2) as pool:
        together = manager.Barrier(2)
        given = (folder, voucher, asked, requests, together)
        workers = [each.get() for each in [pool.apply_async(open_and_answer, given) for _ in range(2)]]
    return rows | {f"worker {number}": row for number, (row, _) in enumerate(workers, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, nargs="+", default=[10_000, 1_000_000, 10_000_000])
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--index", action="store_true")
    parser.add_argument("--requests", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--name", default="opening")
    options = parser.parse_args()
    rows = {}
    for items in options.items:
        with tempfile.TemporaryDirectory() as scratch:
            folder = (options.folder or Path(scratch)) / f"{items}"
            if not folder.exists():
                make_apart(folder, items, options.index, options.seed)
            # A file that has just changed is not vouched for.
            time.sleep(3)
            rows[f"{items:,} items"] = measure(folder, options.requests, options.seed)
            print(json.dumps(rows[f"{items:,} items"], indent=1), flush=True)
    result.write(options.name, result.command(), rows, index=options.index, requests=options.requests)


def make_apart(folder: Path, items: int, has_index: bool, seed: int) -> None:
    """Make a bundle in a process of its own, which gives back what that takes."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    process = multiprocessing.get_context("spawn").Process(target=_make, args=(folder, items, has_index, seed))
    process.start()
    process.join()
    if process.exitcode:
        shutil.rmtree(folder, ignore_errors=True)
        raise SystemExit(f"no bundle of {items} items could be made")


def _make(folder: Path, items: int, has_index: bool, seed: int) -> None:
    # It needs torch, which no worker has.
    import catalogue_world

    catalogue_world.make(folder, items, has_index=has_index, seed=seed)


if __name__ == "__main__":
    main()
