"""What a filter does to the search in a graph: recall and time by how much it leaves, beside the unfiltered search.

python benchmarks/filter_recall.py [--items 200000] [--width 64] [--queries 200]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator

import numpy as np
import result
from live_items_search import BEST, CLUSTERS, generated, milliseconds

from engine.index import VectorIndex
from engine.row_set import RowSet
from engine.side_index import LiveIndex

SHARES = (0.5, 0.1, 0.01, 0.001)
LOT = 50


def nearest_centre(vectors: np.ndarray, width: int) -> np.ndarray:
    """Return the cluster of each vector, as near as a distance tells it."""
    centres = (np.random.default_rng(0).normal(size=(CLUSTERS, width)) / np.sqrt(width)).astype(np.float32)
    lots = np.array_split(vectors, max(1, len(vectors) // 10_000))
    return np.concatenate([np.argmax(lot @ centres.T - (centres**2).sum(1) / 2, axis=1) for lot in lots])


def masks(vectors: np.ndarray, width: int) -> Iterator[tuple[str, np.ndarray]]:
    """Go through filters that have nothing to do with the vectors, and through those that leave whole clusters."""
    random, clusters = np.random.default_rng(7), nearest_centre(vectors, width)
    order = random.permutation(CLUSTERS)
    rank = np.empty(CLUSTERS, dtype=np.int64)
    rank[order] = np.arange(CLUSTERS)
    # Whole clusters in a random order, until they are as many items as are wanted.
    sorted_items = np.argsort(rank[clusters], kind="stable")
    for share in SHARES:
        count = round(share * len(vectors))
        for name, items in (("random", random.permutation(len(vectors))), ("clusters", sorted_items)):
            mask = np.zeros(len(vectors), dtype=bool)
            mask[items[:count]] = True
            yield f"{share:.1%} {name}", mask


def exact(queries: np.ndarray, vectors: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return the best items that the mask leaves, [B,min(k, left)]."""
    rows = np.flatnonzero(mask)
    lots = np.array_split(queries, max(1, len(queries) // LOT))
    return np.concatenate([rows[np.argsort(-(lot @ vectors[rows].T), axis=1)[:, :BEST]] for lot in lots])


def recall(found: np.ndarray, best: np.ndarray) -> float:
    return float(np.mean([len(set(a) & set(b)) / len(b) for a, b in zip(found.tolist(), best.tolist(), strict=True)]))


def measured(index: LiveIndex, vectors: np.ndarray, queries: np.ndarray, mask: np.ndarray) -> dict[str, object]:
    forbidden, best = RowSet.of(~mask), exact(queries, vectors, mask)
    found, free, filtered = [], list[float](), list[float]()
    for step, query in enumerate(queries):
        # Not the same query: the second search would find in the processor's cache what the first one read.
        other = queries[(step + len(queries) // 2) % len(queries)][None]
        free.append(milliseconds(lambda other=other: index.search(other, BEST)))
        filtered.append(
            milliseconds(lambda query=query: found.append(index.search(query[None], BEST, forbidden=forbidden)[0][0]))
        )
    few = [int((each >= 0).sum()) < best.shape[1] for each in found]
    wrong = [bool((~mask[each[each >= 0]]).any()) for each in found]
    p50, p99 = np.percentile(np.stack((free, filtered)), (50, 99), axis=1)
    return {
        "recall": round(recall(np.stack(found), best), 4),
        "share with too few": round(float(np.mean(few)), 4),
        "share with a forbidden one": round(float(np.mean(wrong)), 4),
        "ms": {"p50": round(float(p50[1]), 3), "p99": round(float(p99[1]), 3)},
        "unfiltered ms": {"p50": round(float(p50[0]), 3), "p99": round(float(p99[0]), 3)},
        "ratio": round(float(p50[1] / p50[0]), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=200_000)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--queries", type=int, default=200)
    options = parser.parse_args()
    vectors, queries = generated(options.items, options.width, 1), generated(options.queries, options.width, 3)
    began = time.perf_counter()
    index = LiveIndex(VectorIndex.build(vectors))
    built = round(time.perf_counter() - began, 1)
    for query in queries:
        index.search(query[None], BEST)
    everything = np.ones(len(vectors), dtype=bool)
    found = np.concatenate([index.search(query[None], BEST)[0] for query in queries])
    rows: dict[str, object] = {"unfiltered recall": round(recall(found, exact(queries, vectors, everything)), 4)}
    rows |= {name: measured(index, vectors, queries, mask) for name, mask in masks(vectors, options.width)}
    facts = {"items": options.items, "width": options.width, "queries": options.queries, "k": BEST, "build s": built}
    result.write("filter_recall", result.command(), rows, **facts)


if __name__ == "__main__":
    main()
