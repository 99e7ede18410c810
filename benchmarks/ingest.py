"""Events a second: POST /rate one by one and in lists, POST /events/bulk, and what the store alone could take.

    python benchmarks/ingest.py [--bundle bundles/demo] [--events 100000] [--rounds 3] [--seed 1]

One worker with its private store (a write is on disk before it is answered). Each round sends new events in each way,
the ways in turn; rates are medians over rounds. "shuffled" events are of 20,000 users in any order, "sessions" 5 to 40
in a row of one user, as dumps of real services mostly have them. The ceiling sends the same log entries to the same
store with one XADD each, in pipelines of 1,000, from a process that does nothing else. CPU times are those of worker
and store, microseconds an event: in a second no more events fit than the larger of the two allows.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import psutil
import result
from redis.asyncio import Redis
from serving_process import free_port, serving

sys.path.insert(0, str(Path(__file__).parents[1]))
from app.event_encoding import encode_json
from engine.bundle import Bundle

USERS, DAYS = 20_000, 300
SINGLES, LISTED, CONNECTIONS, AT_ONCE = 1_500, 20_000, 8, 1_000
NDJSON, PARQUET = "application/x-ndjson", "application/vnd.apache.parquet"
Body = dict[str, Any]


@dataclass
class Measured:
    """One way to send events, once."""

    rate: float
    worker_us: float
    store_us: float


class Ways:
    """The ways to send events to one service."""

    def __init__(self, port: int, store: str) -> None:
        self._url = f"http://127.0.0.1:{port}"
        self._store = store
        self._http = httpx.Client(base_url=self._url, timeout=600)

    def singles(self, bodies: list[Body]) -> None:
        for body in bodies:
            self._http.post("/rate", json=body).raise_for_status()

    def singles_at_once(self, bodies: list[Body]) -> None:
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            list(pool.map(self._singles_alone, [bodies[start::CONNECTIONS] for start in range(CONNECTIONS)]))

    def _singles_alone(self, bodies: list[Body]) -> None:
        with httpx.Client(base_url=self._url) as http:
            for body in bodies:
                http.post("/rate", json=body).raise_for_status()

    def lists(self, bodies: list[Body]) -> None:
        for start in range(0, len(bodies), 100):
            self._http.post("/rate", json=bodies[start : start + 100]).raise_for_status()

    def ndjson(self, content: bytes) -> None:
        self._upload(content, NDJSON)

    def parquet(self, content: bytes) -> None:
        self._upload(content, PARQUET)

    def _upload(self, content: bytes, kind: str) -> None:
        answer = self._http.post("/events/bulk", content=content, headers={"Content-Type": kind})
        last = json.loads(answer.text.splitlines()[-1])
        if not last.get("done"):
            raise SystemExit(f"the upload failed: {last}")

    def xadd(self, entries: list[str]) -> None:
        asyncio.run(self._xadd(entries))

    async def _xadd(self, entries: list[str]) -> None:
        async with Redis.from_url(self._store) as redis:
            for start in range(0, len(entries), AT_ONCE):
                async with redis.pipeline(transaction=False) as pipeline:
                    for entry in entries[start : start + AT_ONCE]:
                        pipeline.execute_command("XADD", "ceiling", "*", "event", entry)
                    await pipeline.execute()


def events_of(kind: str, count: int, item_ids: Sequence[str], chance: random.Random) -> list[Body]:
    """Return events of the last days, oldest first; popular items are those of Zipf's law."""
    now, name = time.time(), f"{chance.random():.12f}"
    weights = [1 / (place + 10) for place in range(len(item_ids))]
    items, user, left = chance.choices(item_ids, weights, k=count), "", 0
    bodies = list[Body]()
    for number, item_id in enumerate(items):
        if left == 0 or kind == "shuffled":
            user, left = str(chance.randrange(USERS)), chance.randint(5, 40)
        left -= 1
        timestamp = round(now - DAYS * 86_400 * (1 - number / count) - 60, 3)
        body = {"user_id": user, "item_id": item_id, "rating": chance.randint(1, 5), "timestamp": timestamp}
        bodies.append({**body, "event_id": f"{name}-{number}"})
    return bodies


def as_ndjson(bodies: list[Body]) -> bytes:
    return b"".join(json.dumps(body).encode() + b"\n" for body in bodies)


def as_parquet(bodies: list[Body]) -> bytes:
    file = io.BytesIO()
    pl.DataFrame(bodies).with_columns(pl.col("rating").cast(pl.Float64)).write_parquet(file)
    return file.getvalue()


def as_entries(bodies: list[Body]) -> list[str]:
    return [encode_json({**body, "kind": "rating", "recommendation_id": ""}) for body in bodies]


def measured(send: Callable[[Any], None], content: object, count: int, processes: list[psutil.Process]) -> Measured:
    before, started = [cpu(each) for each in processes], time.perf_counter()
    send(content)
    seconds = time.perf_counter() - started
    spent = [(cpu(each) - was) / count * 1e6 for each, was in zip(processes, before, strict=True)]
    return Measured(count / seconds, *spent)


def cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


@contextlib.contextmanager
def served(bundle: Path) -> Iterator[tuple[Ways, list[psutil.Process]]]:
    port = free_port()
    command = [sys.executable, "-m", "liverec", "serve", "--bundle", str(bundle), "--port", str(port)]
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(command, port, "/health/ready", LIVEREC_VAR=folder) as process,
    ):
        worker = psutil.Process(process.process.pid)
        store = next(each for each in worker.children() if "valkey" in each.name() or "redis" in each.name())
        yield Ways(port, f"unix://{folder}/valkey/valkey.sock"), [worker, store]


def rounds(ways: Ways, processes: list[psutil.Process], options: argparse.Namespace) -> dict[str, list[Measured]]:
    chance, found = random.Random(options.seed), dict[str, list[Measured]]()
    item_ids = list(Bundle.open(options.bundle.resolve()).items.vocabulary.ids())

    def run(name: str, send: Callable[[Any], None], kind: str, count: int, encode: Callable[[list[Body]], Any]) -> None:
        content = encode(events_of(kind, count, item_ids, chance))
        found.setdefault(name, []).append(measured(send, content, count, processes))
        print(name, found[name][-1], flush=True)

    for _ in range(options.rounds):
        run("XADD alone (ceiling)", ways.xadd, "shuffled", options.events, as_entries)
        run("POST /rate", ways.singles, "shuffled", SINGLES, list)
        run(f"POST /rate, {CONNECTIONS} connections", ways.singles_at_once, "shuffled", SINGLES, list)
        run("POST /rate, lists of 100", ways.lists, "shuffled", LISTED, list)
        for kind in ("shuffled", "sessions"):
            run(f"bulk NDJSON, {kind}", ways.ndjson, kind, options.events, as_ndjson)
            run(f"bulk Parquet, {kind}", ways.parquet, kind, options.events, as_parquet)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, default=Path("bundles/demo"))
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with served(options.bundle) as (ways, processes):
        found = rounds(ways, processes, options)
    middle = {name: [statistics.median(column) for column in columns(each)] for name, each in found.items()}
    ceiling = middle["XADD alone (ceiling)"][0]
    rows = {
        name: {
            "events/s": round(rate),
            "of the ceiling": round(rate / ceiling, 3),
            "of POST /rate": round(rate / middle["POST /rate"][0], 1),
            "worker, us": round(worker, 1),
            "store, us": round(store, 1),
        }
        for name, (rate, worker, store) in middle.items()
    }
    result.write("ingest", result.command(), rows, seed=options.seed, rounds=options.rounds, events=options.events)


def columns(runs: list[Measured]) -> list[tuple[float, ...]]:
    return list(zip(*((each.rate, each.worker_us, each.store_us) for each in runs), strict=True))


if __name__ == "__main__":
    main()
