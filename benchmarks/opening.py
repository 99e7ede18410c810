"""What a bundle costs to open, and what each further worker has to itself, at 10 thousand, 1 million, 10 million items.

    python benchmarks/opening.py [--items 10000 1000000 10000000] [--folder FOLDER] [--index] [--requests 300]

For each size a bundle is made (catalogue_world.py), and then opened as the service does, with its probe recomputed: by
a process that reads it from the disk, by one that finds it in the page cache, and by two workers at once, for which the
process that started them vouches. Each has loaded the service before the clock starts, and answers requests before its
memory is read, then filters before it is read again: what it alone has written (Private_Dirty of smaps_rollup), with
what it had before it opened, and its share of all (Pss). The ceiling in the same run is `read`: SHA-256 over as many
bytes that are in memory already, on all cores. Last, the service itself with two workers: seconds until it is ready,
and the memory of each worker after as many requests. Bundles are deleted after, but for --folder.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.synchronize import Barrier
from pathlib import Path

import httpx
import numpy as np
import result
from serving_process import free_port, serving

sys.path.insert(0, str(Path(__file__).parents[1]))
from engine.bundle import Bundle
from engine.events import Event, History
from engine.filter_expression import FilterExpression
from engine.item_fields import ItemFields
from engine.query import Query
from engine.vocabulary import Vocabulary
from engine.voucher import Voucher

MEGABYTE = 1 << 20
USERS = 100
FILTERS = ("year >= 1995", 'categories = "Drama" and year < 1960', 'title contains "king"')
Row = dict[str, float]


def memory(process: int | str = "self") -> Row:
    """Return megabytes of a process that no other has, and its share of all."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()[1:]
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
    after = memory()
    fields, filtering = ItemFields(recommender.items), time.process_time()
    for text in FILTERS:
        fields.matches(FilterExpression.parse(text))
    filtered = (time.process_time() - filtering) / len(FILTERS)
    if together is not None:
        together.wait()
    row: Row = {"seconds to open": opened - began, "seconds with the probe": proven - began, "cpu seconds": cpu}
    row |= {"milliseconds a request": 1e3 * answered, "cpu milliseconds a first filter": 1e3 * filtered}
    row |= {f"{name} MB": after[name] for name in after}
    row |= {"private MB by the bundle": after["private"] - before["private"]}
    row |= {"private MB by the bundle, with filters": memory()["private"] - before["private"]}
    return {name: round(value, 2) for name, value in row.items()}, bundle.voucher


def lookups(bundle: Bundle, asked: list[list[str]]) -> Row:
    """Return microseconds for the rows of 50 ids: in a dict, of ids that were met lately, and of ids that were not."""
    vocabulary = bundle.items.vocabulary
    indices = {item_id: vocabulary.index_of(item_id) for own in asked for item_id in own}
    # As many as there are items or a million, so that the dict is no quicker than one of all of them.
    indices |= {item_id: row for row, item_id in enumerate(vocabulary.ids(0, 1_000_000))}
    ways = {
        "dict": lambda own: np.fromiter((indices.get(each, -1) for each in own), np.int64),
        "met lately": vocabulary.indices_of,
        "not met": Vocabulary.mapped(vocabulary.texts, vocabulary.lookup).indices_of,
    }
    return {name: round(1e6 * min(_seconds(way, own) for own in asked), 1) for name, way in ways.items()}


def _seconds(way: Callable[[list[str]], object], own: list[str]) -> float:
    began = time.perf_counter()
    way(own)
    return time.perf_counter() - began


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
    rows: dict[str, object] = {"items": items, "bundle MB": round(size / MEGABYTE), "read, seconds": read(size)}
    rows["microseconds for 50 ids"] = lookups(bundle, asked)
    del bundle
    forget(folder)
    for name in ("first, from the disk", "first, from the page cache"):
        with spawn.Pool(1) as pool:
            rows[name], voucher = pool.apply(open_and_answer, (folder, None, asked, requests, None))
    assert voucher is not None, "the files are too new to be vouched for"
    with spawn.Manager() as manager, spawn.Pool(2) as pool:
        together = manager.Barrier(2)
        given = (folder, voucher, asked, requests, together)
        workers = [each.get() for each in [pool.apply_async(open_and_answer, given) for _ in range(2)]]
    rows |= {f"worker {number}": row for number, (row, _) in enumerate(workers, 1)}
    return rows | {"service with two workers": served(folder, asked, requests)}


def served(folder: Path, asked: list[list[str]], requests: int) -> dict[str, object]:
    """Have the service answer on two workers; return seconds until it is ready, and what each worker has."""
    with tempfile.TemporaryDirectory() as var:
        port = free_port()
        command = [sys.executable, "-m", "liverec", "serve", "--bundle", str(folder), "--port", str(port)]
        with serving([*command, "--workers", "2"], port, "/health/ready", LIVEREC_VAR=var) as service:
            for number in range(requests):
                # A connection of its own, so that both workers get some.
                with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
                    events = [
                        {"user_id": f"{number}", "item_id": each, "rating": 4} for each in asked[number % USERS][:10]
                    ]
                    client.post("/rate", json=events).raise_for_status()
                    client.get(f"/recommend/{number}").raise_for_status()
            workers = [memory(process) for process in children(service.process.pid)]
    workers.sort(key=lambda each: each["share of all"])
    found = [{f"{name} MB": round(value, 1) for name, value in each.items()} for each in workers[-2:]]
    return {"seconds from start to ready": round(service.seconds_to_ready, 2), "workers": found}


def children(process: int) -> list[int]:
    """Return the processes that a process has started."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(path.read_text().rsplit(")")[-1].split()[1]) == process:
                found.append(int(path.parent.name))
    return found


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
