"""Requests at a constant rate, whatever the service makes of them; a process of its own, called by serving.py.

    python benchmarks/open_loop.py --port PORT --requests FILE --rate R --seconds S [--connections 32]

A request's time counts from the moment when it was due, not from when a connection was free for it: who measures only
what was sent leaves out those that had to wait (Tene, "How not to measure latency", 2013). Prints one line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import time
from collections import Counter, deque
from pathlib import Path
from typing import cast

import httptools
import numpy as np
import traffic
import uvloop

SLACK_SECONDS = 10.0
"""How long after the last request was due its answer is waited for."""


class Connection(asyncio.Protocol):
    """Sends one request after the other; tells the loop when it is free again."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._due = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._parser = httptools.HttpResponseParser(self)
        self._load.is_free(self)

    def send(self, request: bytes, due: float) -> None:
        self._due = due
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        self._parser = httptools.HttpResponseParser(self)
        self._load.answered(status, self._due)
        self._load.is_free(self)

    def connection_lost(self, _exc: Exception | None) -> None:
        self._load.lost()


class Load:
    """All connections, and the requests that are due."""

    def __init__(self, encoded: list[bytes], rate: float, seconds: float) -> None:
        self._encoded, self._rate = encoded, rate
        self._count = int(rate * seconds)
        self._free: deque[Connection] = deque()
        self._sent = 0
        self._began = float("inf")
        self.milliseconds: list[float] = []
        self.statuses: Counter[int] = Counter()
        self.over = asyncio.Event()

    def begin(self) -> None:
        self._began = time.perf_counter()
        self._turn()

    def is_free(self, connection: Connection) -> None:
        self._free.append(connection)
        self._send_due()

    def answered(self, status: int, due: float) -> None:
        self.statuses[status] += 1
        if status == 200:
            self.milliseconds.append((time.perf_counter() - due) * 1000)
        if self.statuses.total() == self._count:
            self.over.set()

    def lost(self) -> None:
        self.statuses[0] += 1
        self.over.set()

    def _turn(self) -> None:
        self._send_due()
        if self._sent < self._count:
            due = self._began + self._sent / self._rate
            asyncio.get_running_loop().call_later(max(due - time.perf_counter(), 0.0), self._turn)

    def _send_due(self) -> None:
        while self._free and self._sent < self._count:
            due = self._began + self._sent / self._rate
            if due > time.perf_counter():
                return
            self._free.popleft().send(self._encoded[self._sent % len(self._encoded)], due)
            self._sent += 1


def encode(sent: dict[str, str]) -> bytes:
    body = sent["body"].encode()
    head = f"{sent['method']} {sent['path']} HTTP/1.1\r\nHost: bench\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


async def run(options: argparse.Namespace) -> dict[str, object]:
    load = Load([encode(each) for each in traffic.read(options.requests)], options.rate, options.seconds)
    loop = asyncio.get_running_loop()
    for _ in range(options.connections):
        await loop.create_connection(lambda: Connection(load), "127.0.0.1", options.port)
    load.begin()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(load.over.wait(), options.seconds + SLACK_SECONDS)
    marks = np.percentile(load.milliseconds, [50, 90, 99, 99.9]) if load.milliseconds else [np.nan] * 4
    names = ("p50", "p90", "p99", "p99.9")
    return {
        **{name: round(float(mark), 3) for name, mark in zip(names, marks, strict=True)},
        "answers": len(load.milliseconds),
        "wanted": int(options.rate * options.seconds),
        "statuses": {str(status): count for status, count in sorted(load.statuses.items())},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--requests", type=Path, required=True)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--connections", type=int, default=32)
    print(json.dumps(uvloop.run(run(parser.parse_args()))))


if __name__ == "__main__":
    main()
