"""How fast the service answers, beside the ceiling of the machine and LibRecommender's server in the same run.

    python benchmarks/serving.py [--bundle FOLDER | --items 10000] [--scenarios NAME ...] [--rounds 5] [--seconds 3]
                                 [--large 1000000] [--venvs FOLDER] [--no-peer] [--gate]

Ceilings (ceiling.py): /bare, the same server and framework with an answer of the same size that is there already; /get,
the same with one GET from the store. Throughput: wrk, closed loop, each target in turn within each round, on one and on
eight connections; ratios are medians over rounds of the ratio within a round. Latency: open loop at a constant rate,
60 % of the throughput on eight connections, counted from when a request was due (open_loop.py). 2,000 users with 60
ratings each ask as often as Zipf's law says. Times of the processor are those of the workers, without the store.
Without --bundle one is made (catalogue_world.py): 64-wide self-attention over the newest 50 events, the nearest 200
items, an NCF over them. --gate ends with 1 if a ratio is below what it must be.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import result
import serving_chart
import traffic
from catalogue_world import make
from contestants import ask_everybody, ceiling, fill, librecommender, liverec
from scenarios import SCENARIOS, peer_requests, scenarios
from serving_process import ServingProcess
from target import Target, open_loop, ratio
from traffic import Sent

sys.path.insert(0, str(Path(__file__).parents[1]))
from engine.bundle import Bundle

SIZE = 2_400
LOAD_SHARE, OVERLOAD = 0.6, 1.5
CONNECTIONS = (1, 8)
BUSY = CONNECTIONS[-1]
BARE, GET, PEER, TWO = "ceiling, bare", "ceiling, one GET", "LibRecommender", "computed, two workers"
PEERS = (BARE, GET, PEER)
RATIOS = (
    ("cached GET / endpoint with one GET from Redis, 8 connections", "cached", GET, 8),
    ("computed GET / bare endpoint, 1 connection", "computed", BARE, 1),
    ("computed GET / LibRecommender's server, 1 connection", "computed", PEER, 1),
    ("POST /rate / bare endpoint, 8 connections", "rate", BARE, 8),
    ("two workers / one, computed GET, 8 connections", TWO, "computed", 8),
)
TAIL, MOST_TAIL = "p99 / p50 of computed GETs at 60 % of the throughput", 4.0
LEAST = dict(zip((label for label, *_ in RATIOS), (0.85, 0.16, 1.4, 0.35, 1.7), strict=True))


class Measurement:
    """All servers of one run, and what is measured on them."""

    def __init__(self, options: argparse.Namespace, folder: Path, stack: contextlib.ExitStack) -> None:
        self._options, self._folder, self._stack = options, folder, stack
        self._random = np.random.default_rng(options.seed)
        self.targets: dict[str, Target] = {}

    def start(self) -> None:
        """Start all servers, and give them what they are asked about."""
        bundles = {"": self._bundle(self._options.items, self._options.bundle)}
        if self._options.large:
            bundles[f", {self._options.large:,} items"] = self._bundle(self._options.large, None)
        for suffix, bundle in bundles.items():
            self._start_own(bundle, suffix, self._options.scenarios if not suffix else ["computed"])
        self._start_others(len(Bundle.open(bundles[""]).items))

    def run(self) -> None:
        """Measure throughput: each target in each round, in an order that chance gives."""
        for turn in range(-1, self._options.rounds):
            for name in self._random.permutation(list(self.targets)).tolist():
                # The first round only warms up.
                self._measure(self.targets[name], warm=turn < 0)
            print(f"round {turn + 1} of {self._options.rounds} is done", file=sys.stderr, flush=True)

    def latencies(self) -> dict[str, object]:
        """Measure each scenario at a constant rate, 60 % of what it can."""
        rows: dict[str, object] = {}
        for name, target in self.targets.items():
            if name not in PEERS:
                most = median(run.a_second for run in target.runs[BUSY])
                rows[name] = open_loop(target, LOAD_SHARE * most, self._options.seconds * 3, 32)
        return rows

    def overload(self) -> dict[str, object]:
        """Measure what is served, and what refused, where more is asked than can be done."""
        target = self.targets["computed"]
        most = median(run.a_second for run in target.runs[BUSY])
        return {
            f"{share:.0%} of what it can": open_loop(target, share * most, self._options.seconds * 3, 256)
            for share in (0.9, OVERLOAD)
        }

    def memory(self) -> dict[str, object]:
        """Return the memory of a worker of each service."""
        return {
            name: target.process.megabytes() for name, target in self.targets.items() if name.startswith("computed")
        }

    def _measure(self, target: Target, *, warm: bool) -> None:
        for connections in CONNECTIONS:
            target.measure(connections, 1.0 if warm else self._options.seconds)
        if warm:
            target.runs.clear()
            target.cpu.clear()

    def _bundle(self, items: int, given: Path | None) -> Path:
        if given is not None:
            return given.resolve()
        made = self._folder / f"bundle-{items}"
        make(made, items, has_index=True, has_ranker=True)
        return made

    def _start_own(self, bundle: Path, suffix: str, wanted: list[str]) -> None:
        items = [*Bundle.open(bundle).items.vocabulary.ids()]
        asked = {name: each for name, each in scenarios(items, self._random).items() if name in wanted}
        services = {each.service for each in asked.values()}
        for service in sorted(services):
            process = self._own(bundle, f"{service}{suffix}", 1, items)
            for name, each in asked.items():
                if each.service == service:
                    self._add(f"{name}{suffix}", process, each.requests)
        if not suffix and "computed" in asked:
            process = self._own(bundle, "computed by two", 2, items)
            self._add(TWO, process, asked["computed"].requests)

    def _own(self, bundle: Path, name: str, workers: int, items: list[str]) -> ServingProcess:
        keeps = {"LIVEREC_CACHE_SECONDS": "0" if name.startswith("computed") else "86400"}
        process = self._stack.enter_context(liverec(bundle, self._var(name), workers, **keeps))
        fill(process, items)
        if name == "cached":
            ask_everybody(process)
        return process

    def _start_others(self, items: int) -> None:
        bare = self._stack.enter_context(ceiling(self._var("cached"), SIZE))
        self._add(BARE, bare, [traffic.get("/bare")])
        self._add(GET, bare, [traffic.get("/get")])
        if not self._options.no_peer:
            process = self._stack.enter_context(librecommender(self._options.venvs, self._folder / "peer", items))
            if process is not None:
                self._add(PEER, process, peer_requests())

    def _var(self, name: str) -> Path:
        return self._folder / name.replace(" ", "-").replace(",", "")

    def _add(self, name: str, process: ServingProcess, requests: list[Sent]) -> None:
        self.targets[name] = Target.of(process, requests, self._var(f"requests of {name}"))


def ratios(targets: dict[str, Target], latencies: dict[str, Any]) -> dict[str, float]:
    """Return what the service is held to."""
    found = {}
    for label, ours, other, connections in RATIOS:
        if ours in targets and other in targets:
            found[label] = ratio(targets[ours], targets[other], connections)
    if "computed" in latencies:
        found[TAIL] = round(latencies["computed"]["p99"] / latencies["computed"]["p50"], 2)
    return found


def failures(found: dict[str, float]) -> list[str]:
    """Return which ratios are not what they must be."""
    below = [f"{label}: {found[label]} < {least}" for label, least in LEAST.items() if found.get(label, least) < least]
    return below + [f"{TAIL}: {found[TAIL]} > {MOST_TAIL}" for _ in (1,) if found.get(TAIL, 0.0) > MOST_TAIL]


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, help="to serve, in the place of one that is made")
    parser.add_argument("--items", type=int, default=10_000, help="of the bundle that is made")
    parser.add_argument(
        "--large", type=int, help="items of a second bundle, whose answers are compared with the first's"
    )
    parser.add_argument("--scenarios", nargs="+", default=SCENARIOS, choices=SCENARIOS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each throughput run")
    parser.add_argument("--venvs", type=Path, default=Path(tempfile.gettempdir()) / "peers")
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument("--gate", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def main() -> None:
    options = parsed()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        measurement = Measurement(options, Path(folder), stack)
        measurement.start()
        measurement.run()
        latencies = measurement.latencies()
        found = ratios(measurement.targets, latencies)
        rows = {
            "ratios": found,
            "throughput": {name: target.row() for name, target in measurement.targets.items()},
            "milliseconds at 60 % of the throughput": latencies,
            "overload": measurement.overload() if "computed" in measurement.targets else {},
            "megabytes of a worker": measurement.memory(),
        }
    written = result.write("serving", result.command(), rows, seed=options.seed, rounds=options.rounds)
    serving_chart.draw(rows, written.with_suffix(".svg"))
    failed = [
        f"{name}: {target.failed} requests failed" for name, target in measurement.targets.items() if target.failed
    ]
    if missed := failures(found) + failed:
        print("\n".join(missed), file=sys.stderr)
        sys.exit(int(options.gate))


if __name__ == "__main__":
    main()
