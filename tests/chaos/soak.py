"""A million requests of all kinds: every one is answered, and the memory of the workers stays what it was."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import cast

import httptools
import numpy as np
import uvloop
from steered_world import train

from chaos.chaos_service import ChaosService, chaos_service

CONNECTIONS, AT_ONCE = 6, 12
USERS, ITEMS, EXPONENT = 100_000, 30, 1.1
MOST_GROWTH = 0.05
SAMPLES = 200
SILENCE_SECONDS = 30.0
Make = Callable[[str, random.Random], bytes]


def _get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: soak\r\n\r\n".encode()


def _post(path: str, body: object) -> bytes:
    content = json.dumps(body).encode()
    kind = "Host: soak\r\nContent-Type: application/json"
    head = f"POST {path} HTTP/1.1\r\n{kind}\r\nContent-Length: {len(content)}\r\n\r\n"
    return head.encode() + content


def _item(chance: random.Random) -> str:
    return f"item {chance.randrange(ITEMS)}"


def _some(chance: random.Random, count: int) -> list[str]:
    return [f"item {number}" for number in chance.sample(range(ITEMS), count)]


OPTIONS = (
    "n=20",
    "n=5&explain=true",
    "filter=year%20%3E%201990",
    "categories=red&categories=small",
    "diversity=0.3&exclude_seen=false",
    "exclude=item%201&boost=0.5%20if%20year%20%3E%201990",
    "model=popular",
)
LISTS = ("/popular", "/trending", "/latest")
MIX: dict[str, tuple[int, Make]] = {
    "recommend": (44, lambda user, _: _get(f"/recommend/{user}")),
    "options": (12, lambda user, chance: _get(f"/recommend/{user}?{chance.choice(OPTIONS)}")),
    "rate": (12, lambda user, chance: _post("/rate", {"user_id": user, "item_id": _item(chance), "rating": 4})),
    "items": (7, lambda _, chance: _get(f"/items/item%20{chance.randrange(ITEMS)}")),
    "similar": (3, lambda _, chance: _get(f"/items/item%20{chance.randrange(ITEMS)}/similar")),
    "lists": (7, lambda _, chance: _get(chance.choice(LISTS))),
    "session": (
        4,
        lambda _, chance: _post("/session/recommend", {"history": [{"item_id": _item(chance), "rating": 5}]}),
    ),
    "rank": (4, lambda user, chance: _post("/rank", {"user_id": user, "items": _some(chance, 5)})),
    "predict": (4, lambda user, chance: _post("/predict", {"user_id": user, "items": _some(chance, 5)})),
    "batch": (1, lambda user, _: _post("/recommend/batch", {"queries": [{"user_id": user}, {"user_id": "other"}]})),
    "history": (2, lambda user, _: _get(f"/users/{user}/history")),
}


class Crowd:
    """Makes requests: kinds by the mix, users by Zipf's law (the first of 100,000 asks most)."""

    def __init__(self, seed: int) -> None:
        self.kinds: Counter[str] = Counter()
        self._chance = random.Random(seed)
        self._random = np.random.default_rng(seed)
        weights = np.arange(1, USERS + 1, dtype=np.float64) ** -EXPONENT
        self._until = np.cumsum(weights / weights.sum())
        self._names = list(MIX)
        self._weights = [weight for weight, _ in MIX.values()]

    def requests(self, count: int) -> list[bytes]:
        kinds = self._chance.choices(self._names, self._weights, k=count)
        users = np.searchsorted(self._until, self._random.random(count))
        self.kinds.update(kinds)
        return [MIX[kind][1](f"u{user}", self._chance) for kind, user in zip(kinds, users, strict=True)]


class Line(asyncio.Protocol):
    """One connection that sends requests in lots and counts the answers by status."""

    def __init__(self, ask: Callable[[int], list[bytes]], statuses: Counter[int]) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.moved = time.monotonic()
        self._ask = ask
        self._statuses = statuses
        self._open = 0
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's own is no subclass of it.
        self._transport = cast(asyncio.Transport, transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        self._statuses[self._parser.get_status_code()] += 1
        self._open -= 1
        if not self._open:
            self._send()

    def connection_lost(self, _exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_exception(ConnectionError(f"{self._open} requests got no answer"))

    def _send(self) -> None:
        assert self._transport is not None
        self.moved = time.monotonic()
        lot = self._ask(AT_ONCE)
        self._open = len(lot)
        if lot:
            self._transport.write(b"".join(lot))
        elif not self.ended.done():
            self.ended.set_result(None)


class Soak:
    """Sends so many requests and looks at the memory of each worker meanwhile."""

    def __init__(self, service: ChaosService, size: int, seed: int) -> None:
        self.crowd = Crowd(seed)
        self.statuses: Counter[int] = Counter()
        self.samples: list[tuple[int, dict[int, float]]] = []
        self._service = service
        self._size = self._left = size

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        made = [
            await loop.create_connection(lambda: Line(self._ask, self.statuses), "127.0.0.1", self._service.port)
            for _ in range(CONNECTIONS)
        ]
        lines = [line for _, line in made]
        while any(not line.ended.done() for line in lines):
            await asyncio.wait([line.ended for line in lines], timeout=0.05)
            stuck = [
                line for line in lines if not line.ended.done() and time.monotonic() - line.moved > SILENCE_SECONDS
            ]
            assert not stuck, "a request gets no answer"
            self._sample()
        for transport, line in made:
            await line.ended
            transport.close()

    def growth(self, start: float = 0.1) -> tuple[float, float, float]:
        """Return megabytes of the workers after that share of the requests and at the end, and the growth."""
        first = [sum(each.values()) for done, each in self.samples if start <= done / self._size < start + 0.05]
        last = [sum(each.values()) for done, each in self.samples if done / self._size >= 0.95]
        before, after = median(first), median(last)
        return round(before, 2), round(after, 2), round(after / before - 1, 4)

    def _ask(self, count: int) -> list[bytes]:
        count = min(count, self._left)
        self._left -= count
        return self.crowd.requests(count)

    def _sample(self) -> None:
        done = self.statuses.total()
        if not self.samples or done - self.samples[-1][0] >= self._size / SAMPLES:
            memory = {each.pid: each.memory_info().rss / 2**20 for each in self._service.workers()}
            self.samples.append((done, memory))


def run(folder: Path, size: int, seed: int, workers: int = 2, bundle: Path | None = None) -> dict[str, object]:
    """Send so many requests; every answer is 200, and memory grows by less than 5 % after the first tenth."""
    bundle = bundle or train(folder / "bundle")
    with chaos_service(bundle, folder, workers, LIVEREC_HISTORY_LIMIT="200") as service:
        soak, began = Soak(service, size, seed), time.monotonic()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(soak.run())
        seconds = time.monotonic() - began
        pss = service.megabytes()
        assert not service.tracebacks(), service.tracebacks()
    before, after, growth = soak.growth()
    figures: dict[str, object] = {
        "requests": size,
        "seconds": round(seconds),
        "requests/s": round(size / seconds),
        "workers": workers,
        "kinds": dict(soak.crowd.kinds),
        "by status": {str(status): count for status, count in sorted(soak.statuses.items())},
        "megabytes after a tenth": before,
        "megabytes at the end": after,
        "growth": growth,
        "PSS megabytes at the end": round(pss, 1),
        "megabytes by tenths": [round(sum(each.values()), 1) for _, each in soak.samples[:: SAMPLES // 10]],
    }
    assert soak.statuses == {200: size}, f"seed {seed}: {figures}"
    assert growth < MOST_GROWTH, f"seed {seed}: memory grew by {growth:.1%}: {figures}"
    return figures
