"""How fast training is and how soon it reaches a quality, beside other libraries in one run, each on as many threads.

    python benchmarks/training.py --data FOLDER [--pairs sasrec:rectools gru4rec:recbole ...]
                                  [--venvs FOLDER] [--minutes 30] [--patience 50] [--epochs N] [--seed 1] [--threads 1]

FOLDER has train.csv.gz and valid.csv.gz (user_id, item_id, rating, timestamp). Each peer is installed once, into its
own environment below --venvs. A run trains epoch by epoch, and after each it hands over ten items for each user out of
the whole catalogue; all of them are scored here, by one and the same code. A peer stops after --patience epochs without
a better NDCG@10, or when its --minutes (of the clock on the wall) are over. "ratio" is the peer's seconds of training,
without the making of lists, until it was at its best, by ours until we were at least as good; "processor_ratio" is the
same in seconds of the processor, which other load on the machine hardly changes. Our neumf is a whole pipeline, factors
first and NCF over all items behind them, and says one line, at its end.

"epoch" compares one pass: seconds, and the NDCG@10 after as many epochs as ours has. sasrec_equal is the network of the
other side (64 wide, 2 blocks, 4 heads, inner layers of 64) over the same events, each user's newest 51; sasrec is
configs/sasrec.toml, whose epoch has all events and a window of 128. implicit's alternating least squares stands beside
matrix_factorisation, which has as many factors but is learned by gradients and folds users in: the two have the same
use, not the same algorithm, and an epoch of one is no epoch of the other.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from operator import attrgetter
from pathlib import Path
from threading import Timer
from typing import IO, Any

import numpy as np
import result
from peers.environment import TORCH, PeerError, installed, last_lines
from peers.epochs import LIST_LENGTH, events

# A script finds its own folder first, and there this file, which is called as the package is.
sys.path.insert(0, str(Path(__file__).parents[1]))
from training.metrics import ranking_metrics

DRIVERS = Path(__file__).parent / "peers"
METRIC = f"NDCG@{LIST_LENGTH}"
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
NETWORKS = ("sasrec", "gru4rec", "multvae", "neumf")
RECTOOLS = ("sasrec_equal", "sasrec")


@dataclass(frozen=True, slots=True)
class Peer:
    driver: str
    networks: tuple[str, ...]
    packages: tuple[str, ...]
    on_torch: bool = True

    @property
    def requirements(self) -> tuple[str, ...]:
        return (TORCH, *self.packages) if self.on_torch else self.packages


PEERS = {
    "rectools": Peer("rectools_sasrec.py", RECTOOLS, ("rectools[torch]==0.19.0",)),
    # RecBole 1.2.1 reads np.float_, which numpy 2 has not, and pandas 3 wants numpy 2.
    "recbole": Peer("recbole_network.py", NETWORKS, ("recbole==1.2.1", "numpy==1.26.4", "pandas==2.3.3")),
    "implicit": Peer("implicit_als.py", ("matrix_factorisation",), ("implicit==0.7.2",), on_torch=False),
}
PAIRS = [f"{network}:{name}" for name, peer in PEERS.items() for network in peer.networks]


@dataclass(frozen=True, slots=True)
class Point:
    """After an epoch: the seconds of training so far and the validation NDCG@10."""

    epoch: int
    seconds: float
    processor_seconds: float
    ndcg: float


class Judge:
    """Scores lists of every run alike: right is the validation event, wrong is a list with something seen."""

    def __init__(self, data: Path) -> None:
        self._wanted: dict[str, set[str]] = by_user(data, "valid")
        self._seen: dict[str, set[str]] = by_user(data, "train")

    def score(self, lists: dict[str, list[str]]) -> float:
        for user in self._wanted:
            items = lists[user]
            if self._seen[user].intersection(items) or len(items) != LIST_LENGTH:
                raise PeerError(f"user {user} gets {items}, which are not {LIST_LENGTH} unseen items")
        ranked = [lists[user] for user in self._wanted]
        return ranking_metrics(ranked, list(self._wanted.values()), [LIST_LENGTH])[METRIC]


def by_user(data: Path, part: str) -> dict[str, set[str]]:
    items: dict[str, set[str]] = {}
    for event in events(data, part):
        items.setdefault(event["user_id"], set()).add(event["item_id"])
    return items


def lines(command: list[object], minutes: float | None, threads: int) -> Iterator[dict[str, Any]]:
    """Run a driver for at most so long and yield what it says after each epoch; closing the iterator ends it."""
    # RecBole writes logs to where it runs.
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile("w+") as errors:
        streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": errors, "text": True}
        environment = {**os.environ, **dict.fromkeys(THREADS, str(threads))}
        arguments = map(str, (*command, "--threads", threads))
        driver = subprocess.Popen([*arguments], cwd=folder, env=environment, **streams)
        late = Timer(minutes * 60, driver.kill) if minutes else None
        try:
            if late:
                late.start()
            yield from map(json.loads, whole_lines(driver.stdout))
            if driver.wait() > 0:
                errors.seek(0)
                raise PeerError(f"{Path(str(command[1])).name}: {last_lines(errors.read())}")
        finally:
            if late:
                late.cancel()
            driver.kill()
            driver.wait()


def whole_lines(stream: IO[str] | None) -> Iterator[str]:
    # The last line of a driver that was stopped by its time may be cut.
    return (line for line in stream or () if line.endswith("\n"))


class Runs:
    """Trains with a driver and returns its curve."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._judge = Judge(options.data)
        self._done: dict[tuple[str, str], list[Point]] = {}

    def ours(self, network: str) -> list[Point]:
        return list(self._points("liverec", sys.executable, "liverec_network.py", network, None))

    def peer(self, name: str, network: str) -> list[Point]:
        """Return the curve of a peer's network, which two of ours may be compared with."""
        key = name, network.removesuffix("_equal")
        if key not in self._done:
            self._done[key] = self._trained(*key)
        return self._done[key]

    def _trained(self, name: str, network: str) -> list[Point]:
        python = installed(name, PEERS[name].requirements, self._options.venvs)
        curve: list[Point] = []
        for point in self._points(name, python, PEERS[name].driver, network, self._options.minutes):
            curve.append(point)
            if point.epoch - best(curve).epoch >= self._options.patience:
                break
        if not curve:
            raise PeerError(f"{name} ended no epoch of {network} in {self._options.minutes:g} minutes; raise --minutes")
        return curve

    def _points(
        self, name: str, python: str | Path, driver: str, network: str, minutes: float | None
    ) -> Iterator[Point]:
        given = self._options
        command = [python, DRIVERS / driver, "--data", given.data.resolve(), "--network", network, "--seed", given.seed]
        for line in lines(command, minutes, given.threads):
            times = round(line["seconds"], 3), round(line["processor_seconds"], 3)
            point = Point(line["epoch"], *times, round(self._judge.score(line["lists"]), 5))
            took = f"{point.seconds:.2f} s ({point.processor_seconds:.2f} s of the processor)"
            print(f"{network}, {name}: epoch {point.epoch}, {took}, {METRIC} {point.ndcg}", flush=True)
            yield point
            if point.epoch == given.epochs:
                return


def best(curve: list[Point]) -> Point:
    """Return the first point with the best NDCG."""
    return max(curve, key=lambda point: point.ndcg)


def compared(theirs: list[Point], ours: list[Point]) -> dict[str, object]:
    goal = best(theirs)
    reached = next((point for point in ours if point.ndcg >= goal.ndcg), None)
    row: dict[str, object] = {
        f"peer_{METRIC}": goal.ndcg,
        "peer_seconds": goal.seconds,
        "peer_epochs": goal.epoch,
        f"our_best_{METRIC}": best(ours).ndcg,
        "our_seconds": reached and reached.seconds,
        "our_epochs": reached and reached.epoch,
        "ratio": reached and round(goal.seconds / reached.seconds, 2),
        "processor_ratio": reached and round(goal.processor_seconds / reached.processor_seconds, 2),
    }
    return {**row, "epoch": epochs_compared(theirs, ours)}


def epochs_compared(theirs: list[Point], ours: list[Point]) -> dict[str, object]:
    count = min(len(theirs), len(ours))
    clocks = {"seconds": attrgetter("seconds"), "processor_seconds": attrgetter("processor_seconds")}
    row: dict[str, object] = {}
    for clock, read in clocks.items():
        peer, own = median_epoch(theirs, read), median_epoch(ours, read)
        row[clock] = {"peer": peer, "ours": own, "ratio": round(peer / own, 2)}
    return {**row, f"{METRIC} after {count}": {"peer": theirs[count - 1].ndcg, "ours": ours[count - 1].ndcg}}


def median_epoch(curve: list[Point], read: Callable[[Point], float]) -> float:
    """Return the median time of an epoch, which a busy moment of the machine does not move."""
    return round(float(np.median(np.diff([0.0, *map(read, curve)]))), 3)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--pairs", nargs="+", default=PAIRS, choices=PAIRS)
    parser.add_argument("--venvs", type=Path, default=Path(tempfile.gettempdir()) / "peers")
    parser.add_argument("--minutes", type=float, default=30, help="for each peer and network")
    parser.add_argument("--patience", type=int, default=50, help="epochs of a peer without a better result")
    parser.add_argument("--epochs", type=int, help="at most, for a quick try")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1, help="of each library")
    return parser.parse_args()


def main() -> None:
    options = parsed()
    runs = Runs(options)
    rows: dict[str, object] = {}
    curves: dict[str, list[dict[str, object]]] = {}
    pairs = [pair.split(":") for pair in options.pairs]
    for network in dict.fromkeys(network for network, _ in pairs):
        ours = runs.ours(network)
        curves[f"{network}, liverec"] = [asdict(point) for point in ours]
        for name in (peer for each, peer in pairs if each == network):
            label = f"{network}, {name}"
            try:
                theirs = runs.peer(name, network)
            except PeerError as error:
                print(f"{label} is NOT MEASURED: {error}", file=sys.stderr)
                rows[label] = {"not_measured": str(error)}
                continue
            rows[label] = compared(theirs, ours)
            curves[label] = [asdict(point) for point in theirs]
        # The slow peers take an hour: what is measured is kept, whatever becomes of the rest.
        write(options, rows, curves)


def write(options: argparse.Namespace, rows: dict[str, object], curves: dict[str, Any]) -> None:
    data, peers = options.data.resolve().name, dict.fromkeys(pair.split(":")[1] for pair in options.pairs)
    packages = {name: PEERS[name].requirements for name in peers}
    # Some of the peers alone leave the result of all of them as it is.
    threads = [f"{options.threads}-threads"] if options.threads > 1 else []
    name = "-".join(("training", data, *(peers if len(peers) < len(PEERS) else ()), *threads))
    result.write(name, result.command(), rows, data=data, threads=options.threads, packages=packages, curves=curves)


if __name__ == "__main__":
    main()
