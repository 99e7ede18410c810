"""What keys cost a GET: the same service with and without LIVEREC_KEYS, and with a key that has a rate.

    python benchmarks/keyed_get.py [--bundle bundles/demo] [--rounds 40] [--requests 100] [--seed 1]

Three services with one worker each, each with a store of its own that holds the same histories, answer the same
requests in turn, on one connection each. Differences are medians over rounds, in microseconds of wall time a request.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import result
from serving_process import free_port, serving

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from key_ring import KeyRing, sent

from engine.bundle import Bundle

USERS, EVENTS, FOREIGN_KEYS = 100, 60, 100
KINDS = {"open": None, "keys": "", "keys with a rate": "1000000/second"}


@contextlib.contextmanager
def served(bundle: Path, item_ids: list[str], rate: str | None, cache: str) -> Iterator[httpx.Client]:
    port, chance = free_port(), random.Random(1)
    command = [sys.executable, "-m", "liverec", "serve", "--bundle", str(bundle), "--port", str(port)]
    with tempfile.TemporaryDirectory() as folder:
        settings = {"LIVEREC_VAR": folder, "LIVEREC_CACHE_SECONDS": cache}
        headers = {}
        if rate is not None:
            ring = KeyRing(Path(folder) / "keys.toml")
            for _ in range(FOREIGN_KEYS):
                ring.add("read")
            headers, settings["LIVEREC_KEYS"] = sent(ring.add("read", "write", rate=rate)), str(ring.path)
        with serving(command, port, "/health/ready", **settings):
            http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10, headers=headers)
            for user in range(USERS):
                events = [
                    {"user_id": f"u{user}", "item_id": each, "rating": 4} for each in chance.sample(item_ids, EVENTS)
                ]
                http.post("/rate", json=events).raise_for_status()
            yield http


def microseconds(http: httpx.Client, paths: list[str]) -> float:
    started = time.perf_counter()
    for path in paths:
        http.get(path).raise_for_status()
    return (time.perf_counter() - started) / len(paths) * 1e6


def compared(services: dict[str, httpx.Client], rounds: int, requests: int, chance: random.Random) -> dict[str, float]:
    spent: dict[str, list[float]] = {name: [] for name in services}
    for _ in range(rounds):
        paths = [f"/recommend/u{chance.randrange(USERS)}" for _ in range(requests)]
        for name in chance.sample(list(services), len(services)):
            spent[name].append(microseconds(services[name], paths))
    row = {"open, us": round(statistics.median(spent["open"]), 1)}
    for name in services.keys() - {"open"}:
        pairs = zip(spent[name], spent["open"], strict=True)
        row[f"{name}, more us"] = round(statistics.median(mine - other for mine, other in pairs), 1)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, default=Path("bundles/demo"))
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--requests", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chance, bundle = random.Random(options.seed), options.bundle.resolve()
    known = list(Bundle.open(bundle).items.vocabulary.ids())
    rows = {}
    for label, cache in (("computed", "0"), ("cached", "600")):
        with contextlib.ExitStack() as stack:
            services = {name: stack.enter_context(served(bundle, known, rate, cache)) for name, rate in KINDS.items()}
            compared(services, 4, options.requests, chance)
            rows[label] = compared(services, options.rounds, options.requests, chance)
    result.write("keyed-get", result.command(), rows, seed=options.seed, rounds=options.rounds)


if __name__ == "__main__":
    main()
