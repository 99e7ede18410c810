"""What a plain GET costs beside another revision: nothing that is switched off may be paid for.

    python benchmarks/plain_get.py --before REVISION [--bundle bundles/demo] [--rounds 40] [--requests 100] [--seed 1]

Both revisions serve the same bundle at once, one worker each, each with a store of its own that holds the same
histories. In each round both answer the same requests, one after the other on one connection; who begins alternates.
The ratios are medians over rounds, of wall time and of the worker's CPU time, for answers that are computed and for
answers from the cache.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import result
from serving_process import free_port, serving

sys.path.insert(0, str(Path(__file__).parents[1]))
from engine.bundle import Bundle

ROOT = Path(__file__).parents[1]
USERS, EVENTS = 100, 60
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Revision:
    http: httpx.Client
    pids: list[int]

    def cpu_seconds(self) -> float:
        spent = (Path(f"/proc/{pid}/stat").read_text().rsplit(")")[-1].split()[11:13] for pid in self.pids)
        return sum(int(ticks) for pair in spent for ticks in pair) / TICKS

    def cost(self, paths: list[str]) -> tuple[float, float]:
        """Return wall and CPU seconds of one request, on average."""
        cpu, started = self.cpu_seconds(), time.perf_counter()
        for path in paths:
            self.http.get(path).raise_for_status()
        return (time.perf_counter() - started) / len(paths), (self.cpu_seconds() - cpu) / len(paths)


@contextlib.contextmanager
def checked_out(revision: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        subprocess.run(["git", "-C", ROOT, "worktree", "add", "--detach", tree, revision], check=True)
        try:
            yield tree
        finally:
            subprocess.run(["git", "-C", ROOT, "worktree", "remove", "--force", tree], check=True)


@contextlib.contextmanager
def served(tree: Path, bundle: Path, item_ids: list[str], cache: str) -> Iterator[Revision]:
    port = free_port()
    command = [sys.executable, "-m", "liverec", "serve", "--bundle", str(bundle), "--port", str(port)]
    with tempfile.TemporaryDirectory() as var, contextlib.chdir(tree):
        places = {"LIVEREC_VAR": var, "PYTHONPATH": str(tree), "LIVEREC_CACHE_SECONDS": cache}
        with serving(command, port, "/health/ready", **places) as process:
            http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10)
            chance = random.Random(1)
            for user in range(USERS):
                rated = chance.sample(item_ids, EVENTS)
                events = [{"user_id": f"u{user}", "item_id": item, "rating": 4} for item in rated]
                http.post("/rate", json=events).raise_for_status()
            yield Revision(http, [process.process.pid])


def compared(before: Revision, after: Revision, rounds: int, requests: int, chance: random.Random) -> dict[str, float]:
    wall, cpu = list[float](), [0.0, 0.0]
    for turn in range(rounds):
        paths = [f"/recommend/u{chance.randrange(USERS)}" for _ in range(requests)]
        costs = {}
        for revision in (before, after) if turn % 2 else (after, before):
            costs[revision is after] = revision.cost(paths)
        wall.append(costs[True][0] / costs[False][0])
        cpu = [cpu[0] + costs[False][1], cpu[1] + costs[True][1]]
    # CPU time comes in steps of a hundredth of a second: only its sum tells anything.
    return {"wall time": round(statistics.median(wall), 4), "CPU time": round(cpu[1] / cpu[0], 4)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", required=True)
    parser.add_argument("--bundle", type=Path, default=Path("bundles/demo"))
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--requests", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chance, bundle = random.Random(options.seed), options.bundle.resolve()
    known = list(Bundle.open(bundle).items.vocabulary.ids())
    rows = {}
    with checked_out(options.before) as tree:
        for label, cache in (("computed", "0"), ("cached", "600")):
            with served(tree, bundle, known, cache) as before, served(ROOT, bundle, known, cache) as after:
                compared(before, after, 4, options.requests, chance)
                rows[label] = compared(before, after, options.rounds, options.requests, chance)
    result.write("plain-get", result.command(), rows, seed=options.seed, before=options.before, rounds=options.rounds)


if __name__ == "__main__":
    main()
