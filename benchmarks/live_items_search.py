"""What 100,000 items that come live cost the search: p50 and p99 beside the bundle's own index in the same run.

python benchmarks/live_items_search.py [--base 200000] [--added 100000] [--width 64]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from statistics import median

import numpy as np
import result

from engine.index import VectorIndex
from engine.side_index import LiveIndex

CLUSTERS = 1_000
LOT = 100
SEARCHES_A_LOT = 4
SEARCHES = 2_000
BEST = 100


def generated(count: int, width: int, seed: int) -> np.ndarray:
    """Return vectors in clusters, as those of items are; the same seed gives the same."""
    random = np.random.default_rng((1, seed))
    centres = np.random.default_rng(0).normal(size=(CLUSTERS, width))
    vectors = centres[random.integers(0, CLUSTERS, count)] + random.normal(size=(count, width))
    return (vectors / np.sqrt(width)).astype(np.float32)


class Searches:
    """One search after the other in the bundle's index and in the one that grows, in milliseconds.

    They take turns, so that whatever else the machine does happens to both.
    """

    def __init__(self, bundled: VectorIndex, live: LiveIndex, queries: np.ndarray) -> None:
        self._bundled = bundled
        self._live = live
        self._queries = queries
        self._next = 0

    def times(self, count: int) -> list[tuple[float, float]]:
        return [self._pair() for _ in range(count)]

    def _pair(self) -> tuple[float, float]:
        # Not the same query twice: the second search would find in the processor's cache what the first one read.
        first, second = (self._queries[(self._next + step) % len(self._queries)][None] for step in (0, 500))
        self._next += 1
        alone = milliseconds(lambda: self._bundled.search(first, BEST))
        return alone, milliseconds(lambda: self._live.search(second, BEST))


def milliseconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - began)


def lots(added: int, first: int) -> Iterator[np.ndarray]:
    for start in range(0, added, LOT):
        yield np.arange(first + start, first + min(start + LOT, added))


def summary(times: list[tuple[float, float]]) -> dict[str, dict[str, float]]:
    percentiles = {"p50": 50, "p99": 99}
    found = {name: np.percentile(times, each, axis=0) for name, each in percentiles.items()}
    return {
        "bundle alone, ms": {name: round(float(each[0]), 3) for name, each in found.items()},
        "with what came, ms": {name: round(float(each[1]), 3) for name, each in found.items()},
        "ratio": {name: round(float(each[1] / each[0]), 2) for name, each in found.items()},
    }


def recall(index: LiveIndex, queries: np.ndarray, ids: np.ndarray, vectors: np.ndarray) -> float:
    found, _ = index.search(queries, BEST)
    exact = ids[np.argsort(-(queries @ vectors.T), axis=1)[:, :BEST]]
    return round(float(np.mean([len(set(a) & set(b)) / BEST for a, b in zip(found, exact, strict=True)])), 4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=int, default=200_000)
    parser.add_argument("--added", type=int, default=100_000)
    parser.add_argument("--width", type=int, default=64)
    options = parser.parse_args()
    base, added = generated(options.base, options.width, 1), generated(options.added, options.width, 2)
    queries, first, bundled = generated(1_000, options.width, 3), options.base + 1, VectorIndex.build(base)
    index = LiveIndex(bundled)
    searches = Searches(bundled, index, queries)
    searches.times(200)
    ids = np.arange(options.base)
    rows: dict[str, object] = {"before": summary(searches.times(SEARCHES))}
    rows["recall before"] = recall(index, queries[:200], ids, base)
    began, during, adding = time.perf_counter(), list[tuple[float, float]](), list[float]()
    for lot in lots(options.added, first):
        adding.append(milliseconds(lambda lot=lot: index.add(lot, added[lot - first])))
        during += searches.times(SEARCHES_A_LOT)
    came = time.perf_counter() - began
    while index.is_merging:
        during += searches.times(SEARCHES_A_LOT)
    settled = time.perf_counter() - began
    rows["while they come"], rows["after"] = summary(during), summary(searches.times(SEARCHES))
    everything = np.concatenate((ids, np.arange(first, first + options.added)))
    rows["recall after"] = recall(index, queries[:200], everything, np.concatenate((base, added)))
    rows["a lot of 100 is added in, ms"] = {"p50": round(median(adding), 3), "longest": round(max(adding), 3)}
    rows["seconds"] = {"until all were findable": round(came, 1), "until all were merged": round(settled, 1)}
    facts = {"base": options.base, "added": options.added, "width": options.width, "k": BEST, "searches": len(during)}
    result.write("live_items_search", result.command(), rows, **facts)


if __name__ == "__main__":
    main()
