"""What 100,000 items that come live cost the search: p50 and p99 before, while they come, and after, in one run.

python benchmarks/live_items_search.py [--base 200000] [--added 100000] [--width 64]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator

import numpy as np
import result

from engine.index import VectorIndex
from engine.row_set import RowSet
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
    """One search after the other, each with its own time in milliseconds."""

    def __init__(self, index: LiveIndex, queries: np.ndarray, forbidden: RowSet) -> None:
        self._index = index
        self._queries = queries
        self._forbidden = forbidden
        self._next = 0

    def times(self, count: int) -> list[float]:
        return [self._one() for _ in range(count)]

    def _one(self) -> float:
        query = self._queries[self._next % len(self._queries)][None]
        self._next += 1
        began = time.perf_counter()
        self._index.search(query, BEST, self._forbidden)
        return 1000 * (time.perf_counter() - began)


def lots(added: int, first: int) -> Iterator[np.ndarray]:
    for start in range(0, added, LOT):
        yield np.arange(first + start, first + min(start + LOT, added))


def summary(times: list[float]) -> dict[str, float]:
    return {"p50 ms": round(float(np.percentile(times, 50)), 3), "p99 ms": round(float(np.percentile(times, 99)), 3)}


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
    queries, forbidden, first = generated(1_000, options.width, 3), RowSet(), options.base + 1
    index = LiveIndex(VectorIndex.build(base))
    searches = Searches(index, queries, forbidden)
    searches.times(200)
    rows: dict[str, object] = {"before": summary(searches.times(SEARCHES))}
    ids = np.arange(options.base)
    rows["recall before"] = recall(index, queries[:200], ids, base)
    began, during, adding = time.perf_counter(), list[float](), list[float]()
    for lot in lots(options.added, first):
        start = time.perf_counter()
        index.add(lot, added[lot - first])
        adding.append(1000 * (time.perf_counter() - start))
        during += searches.times(SEARCHES_A_LOT)
    came = time.perf_counter() - began
    while index.is_merging:
        during += searches.times(SEARCHES_A_LOT)
    settled = time.perf_counter() - began
    after = searches.times(SEARCHES)
    rows["while they come"], rows["after"] = summary(during), summary(after)
    rows["after / before"] = ratio(rows["after"], rows["before"])
    rows["while they come / before"] = ratio(rows["while they come"], rows["before"])
    everything = np.concatenate((ids, np.arange(first, first + options.added)))
    rows["recall after"] = recall(index, queries[:200], everything, np.concatenate((base, added)))
    rows["a lot of 100 is added in"] = summary(adding)
    rows["seconds"] = {"until all were findable": round(came, 1), "until all were merged": round(settled, 1)}
    facts = {"base": options.base, "added": options.added, "width": options.width, "k": BEST, "searches": len(during)}
    result.write("live_items_search", result.command(), rows, **facts)


def ratio(a: object, b: object) -> dict[str, float]:
    assert isinstance(a, dict)
    assert isinstance(b, dict)
    return {name.removesuffix(" ms"): round(a[name] / b[name], 2) for name in a}


if __name__ == "__main__":
    main()
