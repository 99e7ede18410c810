"""What a search costs as the catalogue grows: recall against exact, time, memory of a further process, time to open.

python benchmarks/catalogue.py [--sizes 10000 1000000 10000000] [--width 64] [--kind auto] [--folder /tmp/catalogue]

Of each size a table is generated, its index planned, built and tuned to the stated recall as training does it, and
saved. Then a process of its own opens it and searches for users that the tuning has not met, one at a time on one
thread; in turn with each search an exact one over 10,000 items is timed, so that whatever else the machine does happens
to both. What is generated resembles item vectors that SASRec and GRU4Rec learned (Beauty, MovieLens-1M), by the share
of the directions, the lengths, the biases, the cosines of neighbours and how far user vectors are from items:

- items: 4,096 topics in 64 groups, some more common than others; noise as wide as the topics are apart; directions
  that matter less and less; all shifted by what items share; popular ones shorter, with a higher bias (last number);
- users: a mixture of up to 4 topics and as much noise, away from what items share, longer than items; last number 1.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import result

from engine.exact_search import exact_search
from engine.index import VectorIndex
from engine.index_build import IndexBuild
from engine.index_plan import DEFAULT_MEMORY, DEFAULT_RECALL, IndexPlan
from engine.index_settings import TUNED_FOR, IndexSettings
from engine.index_tuning import tuned
from engine.inverted_index import InvertedIndex
from engine.opened_index import opened_index

GROUPS, TOPICS = 64, 64
ROWS_AT_ONCE = 1 << 18
TUNED_ON, SEARCHED = 512, 500
SMALL = 10_000
WARMED = 100
TABLE, INDEX, QUERY_MAP, SETTINGS = "outputs.npy", "index.faiss", "index.npy", "settings.json"
QUERIES, TRUTH = "queries.npy", "truth.npy"


class Topics:
    """Where items and users of a width are drawn from."""

    def __init__(self, width: int) -> None:
        random = np.random.default_rng(7)
        self.width = width
        self.spread = (np.arange(width - 1) + 1.0) ** -0.35
        self.spread /= np.linalg.norm(self.spread)
        groups = random.normal(size=(GROUPS, 1, width - 1)) + 0.8 * random.normal(size=(GROUPS, TOPICS, width - 1))
        self.centres = (groups * self.spread).reshape(-1, width - 1).astype(np.float32)
        shares = random.permutation((np.arange(len(self.centres)) + 1.0) ** -0.7)
        self.shares = shares / shares.sum()
        shared = random.normal(size=width - 1)
        self.shared = shared / np.linalg.norm(shared)

    def items(self, count: int, seed: int) -> np.ndarray:
        random = np.random.default_rng((8, seed))
        topic, popular = random.choice(len(self.centres), count, p=self.shares), random.exponential(size=count)
        vectors = self.centres[topic] + random.normal(size=(count, self.width - 1)) * self.spread
        vectors *= np.exp(0.25 * random.normal(size=count) - 0.1 * popular)[:, None]
        biases = -0.2 + 0.15 * popular + 0.1 * random.normal(size=count)
        return np.column_stack((vectors + 0.7 * self.shared, biases)).astype(np.float32)

    def users(self, count: int, seed: int) -> np.ndarray:
        random = np.random.default_rng((9, seed))
        weights, topics = random.dirichlet([0.5] * 4, size=count), random.integers(len(self.centres), size=(count, 4))
        vectors = np.einsum("qi,qid->qd", weights, self.centres[topics])
        noise = 0.9 * random.normal(size=vectors.shape) * self.spread
        vectors += noise * np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors -= 0.3 * np.linalg.norm(vectors, axis=1, keepdims=True) * self.shared
        lengths = 8 * np.exp(0.2 * random.normal(size=(count, 1)))
        vectors *= lengths / np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.column_stack((vectors, np.ones(count))).astype(np.float32)


def generate(folder: Path, count: int, width: int) -> np.ndarray:
    """Return a table of items, mapped; write it, users and their exact best items if they are not there."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / TRUTH).exists():
        topics = Topics(width)
        table = np.lib.format.open_memmap(folder / TABLE, "w+", np.float32, (count, width))
        for start in range(0, count, ROWS_AT_ONCE):
            table[start : start + ROWS_AT_ONCE] = topics.items(min(ROWS_AT_ONCE, count - start), start)
        table.flush()
        users = topics.users(TUNED_ON + SEARCHED, 0)
        np.save(folder / QUERIES, users)
        np.save(folder / TRUTH, exact_search(table, users[TUNED_ON:], min(TUNED_FOR, count))[0])
    return np.load(folder / TABLE, mmap_mode="r")


def build(folder: Path, table: np.ndarray, kind: str, wanted: float, memory: int) -> dict[str, object]:
    """Build and save the index; return what that cost."""
    count, width = table.shape
    plan = IndexPlan.of(count, width, memory, kind)
    queries, stages = np.load(folder / QUERIES)[:TUNED_ON], dict[str, float]()
    began = time.perf_counter()

    def told(stage: str, done: int, total: int) -> None:
        stages[stage] = round(time.perf_counter() - began, 1)
        print(f"\r{count:,} items, {plan.kind}: {stage} {done:,}/{total:,}   ", end="", file=sys.stderr)

    index = IndexBuild(table, plan, queries, progress=told).run()
    built = time.perf_counter()
    index = tuned(index, table, queries, wanted)
    after = time.perf_counter()
    print(file=sys.stderr)
    index.save(folder / INDEX)
    if isinstance(index, InvertedIndex):
        np.save(folder / QUERY_MAP, index.query_map)
    (folder / SETTINGS).write_text(index.settings.model_dump_json())
    return {
        "plan": {"kind": plan.kind, "lists": plan.lists, "numbers of a code": plan.code_width, "bytes": plan.bytes},
        "build, s": round(built - began, 1),
        "until, s": stages,
        "tuning, s": round(after - built, 1),
        "index, bytes": (folder / INDEX).stat().st_size,
        "table, bytes": (folder / TABLE).stat().st_size,
        "settings": index.settings.model_dump(),
    }


def opened(folder: Path) -> tuple[object, float]:
    settings = IndexSettings.model_validate_json((folder / SETTINGS).read_bytes())
    began = time.perf_counter()
    table = np.load(folder / TABLE, mmap_mode="r")
    query_map = np.load(folder / QUERY_MAP) if settings.kind in ("ivf", "ivfpq") else None
    return opened_index(folder / INDEX, table, settings, query_map), time.perf_counter() - began


def measure(folder: Path) -> dict[str, object]:
    """Open an index and search it; return times, memory and recall."""
    before = memory()
    index, seconds = opened(folder)
    after = memory()
    queries, truth = np.load(folder / QUERIES)[TUNED_ON:], np.load(folder / TRUTH)
    small = VectorIndex.build(Topics(queries.shape[1]).items(SMALL, 1))
    k, times, found = truth.shape[1], list[tuple[float, float]](), list[np.ndarray]()
    for number, query in enumerate(np.concatenate((queries[:WARMED], queries))[:, None]):
        pair, rows = timed(index, query, k)
        alone, _ = timed(small, query, k)
        if number >= WARMED:
            times.append((pair, alone))
            found.append(rows[0])
    searched = memory()
    here, there = np.percentile(times, [50, 99], axis=0).T
    return {
        "recall@200": round(float(np.mean([np.isin(*pair).mean() for pair in zip(truth, found, strict=True)])), 4),
        "search, ms": {"p50": round(here[0], 3), "p99": round(here[1], 3)},
        "exact search of 10,000 items in turn, ms": {"p50": round(there[0], 3), "p99": round(there[1], 3)},
        "ratio of p50": round(here[0] / there[0], 2),
        "open, s": round(seconds, 3),
        "private memory when opened, MB": round(after["private"] - before["private"], 1),
        "private memory after the searches, MB": round(searched["private"] - before["private"], 1),
        "share of memory after the searches (PSS), MB": round(searched["pss"] - before["pss"], 1),
    }


def timed(index: object, query: np.ndarray, k: int) -> tuple[float, np.ndarray]:
    began = time.perf_counter()
    rows, _ = index.search(query, k)
    return 1000 * (time.perf_counter() - began), rows


def memory() -> dict[str, float]:
    """Return megabytes of this process: its own, and its share of all that it maps."""
    lines = [line.split() for line in Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]]
    sizes = {line[0]: int(line[1]) / 1024 for line in lines}
    return {"private": sizes["Private_Clean:"] + sizes["Private_Dirty:"], "pss": sizes["Pss:"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 1_000_000, 10_000_000])
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--kind", default="auto")
    parser.add_argument("--recall", type=float, default=DEFAULT_RECALL)
    parser.add_argument("--memory", type=int, default=DEFAULT_MEMORY)
    parser.add_argument("--folder", type=Path, default=Path("/tmp/catalogue"))
    parser.add_argument("--name", default="catalogue")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure is not None:
        print(json.dumps(measure(options.measure)))
        return
    rows: dict[str, object] = {}
    for count in options.sizes:
        folder = options.folder / f"{count}x{options.width}"
        table = generate(folder, count, options.width)
        cost = build(folder, table, options.kind, options.recall, options.memory)
        # The first process stands for the first worker: what it maps, the second shares.
        first, _ = opened(folder)
        first.search(np.load(folder / QUERIES)[:50], TUNED_FOR)
        told = subprocess.run(
            [sys.executable, __file__, "--measure", str(folder)],
            check=True,
            capture_output=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        rows[f"{count:,} items"] = cost | json.loads(told.stdout)
        print(json.dumps(rows[f"{count:,} items"]), flush=True)
    facts = {"width": options.width, "k": TUNED_FOR, "searches": SEARCHED, "wanted": options.recall}
    result.write(options.name, result.command(), rows, **facts)


if __name__ == "__main__":
    main()
