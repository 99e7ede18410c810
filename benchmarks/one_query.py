"""What one plain query costs inside the engine, by stage, beside the same networks and a flat search alone.

python benchmarks/one_query.py --bundle bundles/demo [--bundle FOLDER ...] [--events 50 128] [--rounds 30]

Random histories of known items are answered one by one (n = 10) in one process with one thread. Everything is CPU time
of the process, and of each query and stage the least of all rounds counts, since a busy machine only adds; figures are
means over the queries. The floor is ONNX Runtime run on the very arrays that the engine gives its networks, and
FAISS's exact search of as many items as the engine asks for (of its own index where there are more than 200,000
items). "rest" is what belongs to no stage: exclusions, the order, the answer itself.
"""

from __future__ import annotations

import argparse
import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")

import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import result

from engine.bundle import Bundle
from engine.events import Event, History
from engine.indexed_source import IndexedSource
from engine.query import Query
from engine.ranking import NetworkRanker
from engine.ratings import BiasRatings, NetworkRatings
from engine.recommender import Recommender
from engine.runtime import Network
from engine.side_index import LiveIndex
from engine.vector_source import VectorSource
from engine.window import HistoryWindow

N, BATCH, DAY = 10, 64, 86_400.0
EXACT_UP_TO = 200_000
STAGES: dict[str, tuple[tuple[type, str], ...]] = {
    "window": ((HistoryWindow, "columns"), (HistoryWindow, "newest")),
    "encode": ((VectorSource, "read"),),
    "search": ((IndexedSource, "search"),),
    "features": ((NetworkRanker, "inputs"),),
    "rank": ((NetworkRanker, "run"),),
    "ratings": ((NetworkRatings, "predict"), (BiasRatings, "predict")),
}


class Stopwatch:
    """CPU seconds by stage; a call inside another belongs to the outer one."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = defaultdict(float)
        self._is_inside = False

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Measure all stages until the end."""
        methods = [(stage, owner, name) for stage, pairs in STAGES.items() for owner, name in pairs]
        originals = [(owner, name, getattr(owner, name)) for _, owner, name in methods]
        for (stage, owner, name), (_, _, original) in zip(methods, originals, strict=True):
            setattr(owner, name, self._timed(stage, original))
        try:
            yield
        finally:
            for owner, name, original in originals:
                setattr(owner, name, original)

    def _timed(self, stage: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*given: Any, **named: Any) -> Any:  # noqa: ANN401
            if self._is_inside:
                return original(*given, **named)
            self._is_inside, start = True, time.process_time()
            try:
                return original(*given, **named)
            finally:
                self.spent[stage] += time.process_time() - start
                self._is_inside = False

        return timed


def queries_of(bundle: Bundle, events: int, count: int) -> list[Query]:
    chance, ids = random.Random(7), bundle.items.vocabulary.ids()
    scale = bundle.manifest.window.rating_scale
    histories = (
        tuple(
            Event("user", item_id, "rating", chance.uniform(*scale), 1e9 + DAY * place)
            for place, item_id in enumerate(chance.sample(ids, events))
        )
        for _ in range(count)
    )
    return [Query(History(each), N) for each in histories]


def least(act: Callable[[], object], rounds: int) -> float:
    """Return the CPU seconds of the quickest of several calls."""
    spent = []
    for _ in range(rounds):
        start = time.process_time()
        act()
        spent.append(time.process_time() - start)
    return min(spent)


def split_of(recommender: Recommender, query: Query, rounds: int) -> dict[str, float]:
    """Return the least CPU seconds of each stage of a query."""
    rows = []
    for _ in range(rounds):
        watch = Stopwatch()
        with watch.watching():
            start = time.process_time()
            recommender.recommend([query])
            total = time.process_time() - start
        rows.append(watch.spent | {"rest": total - sum(watch.spent.values())})
    return {stage: min(row[stage] for row in rows) for stage in rows[0]}


class Floor:
    """What ONNX Runtime and FAISS alone cost of a query."""

    def __init__(self, recommender: Recommender) -> None:
        self._recommender = recommender
        self._flat: dict[int, Any] = {}

    def seconds(self, query: Query, rounds: int) -> dict[str, float]:
        runs, searches = self._recorded(query)
        networks = sum(least(lambda run=run: run[0]._session.run(None, run[1]), rounds) for run in runs)
        search = sum(least(lambda asked=asked: self._index(asked[0])(*asked[1:]), rounds) for asked in searches)
        return {"networks": networks, "search": search}

    def _recorded(self, query: Query) -> tuple[list[tuple[Network, Any]], list[tuple[LiveIndex, Any, int]]]:
        runs: list[tuple[Network, Any]] = []
        searches: list[tuple[LiveIndex, Any, int]] = []
        run, search = Network.run_all, LiveIndex.search

        def recorded_run(network: Network, **arrays: Any) -> Any:  # noqa: ANN401
            runs.append((network, arrays))
            return run(network, **arrays)

        def recorded_search(index: LiveIndex, asked: Any, k: int, *more: Any, **named: Any) -> Any:  # noqa: ANN401
            searches.append((index, asked, k))
            return search(index, asked, k, *more, **named)

        Network.run_all, LiveIndex.search = recorded_run, recorded_search  # type: ignore[method-assign]
        try:
            self._recommender.recommend([query])
        finally:
            Network.run_all, LiveIndex.search = run, search  # type: ignore[method-assign]
        return runs, searches

    def _index(self, index: LiveIndex) -> Callable[[Any, int], object]:
        if len(index) > EXACT_UP_TO:
            return index.search
        if id(index) not in self._flat:
            source = next(each for each in self._recommender.sources if getattr(each, "index", None) is index)
            vectors = np.ascontiguousarray(source.vectors_of(np.arange(len(index))), dtype=np.float32)
            self._flat[id(index)] = faiss.IndexFlatIP(vectors.shape[1])
            self._flat[id(index)].add(vectors)
        flat = self._flat[id(index)]
        return lambda asked, k: flat.search(asked, min(k, flat.ntotal))


def measure(bundle: Bundle, recommender: Recommender, events: int, count: int, rounds: int) -> dict[str, object]:
    queries, floor = queries_of(bundle, events, count), Floor(recommender)
    totals = [least(lambda query=query: recommender.recommend([query]), rounds) for query in queries]
    splits = [split_of(recommender, query, rounds) for query in queries]
    floors = [floor.seconds(query, rounds) for query in queries]
    lot = (queries * BATCH)[:BATCH]
    batch = least(lambda: recommender.recommend(lot), max(rounds // 5, 3)) / BATCH
    least_possible = float(np.mean([sum(each.values()) for each in floors]))
    return {
        "milliseconds": milliseconds(float(np.mean(totals))),
        "floor": {name: milliseconds(float(np.mean([each[name] for each in floors]))) for name in floors[0]},
        "times the floor": round(float(np.mean(totals)) / least_possible, 2),
        "stages": {stage: milliseconds(float(np.mean([each[stage] for each in splits]))) for stage in splits[0]},
        f"each of {BATCH} at once": milliseconds(batch),
    }


def milliseconds(seconds: float) -> float:
    return round(1e3 * seconds, 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, action="append", required=True)
    parser.add_argument("--events", type=int, nargs="+", default=[50, 128])
    parser.add_argument("--queries", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=30)
    options = parser.parse_args()
    rows: dict[str, object] = {}
    for folder in options.bundle:
        bundle = Bundle.open(folder)
        for events in options.events:
            for rated in [True, False] if bundle.manifest.ratings else [False]:
                recommender = bundle.recommender()
                recommender.ratings = recommender.ratings if rated else None
                label = f"{folder.name}, {len(bundle.items):,} items, {events} events{', ratings' if rated else ''}"
                rows[label] = measure(bundle, recommender, events, options.queries, options.rounds)
    result.write("one-query", result.command(), rows, n=N, queries=options.queries, rounds=options.rounds)


if __name__ == "__main__":
    main()
