"""Clients that send events until they are acknowledged, whatever happens to the service meanwhile."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import httpx

USERS, ITEMS = 40, 30
KINDS = ("view", "click", "like", "dislike", "purchase")
PAUSE_SECONDS = 0.02
LONGEST_SECONDS = 60.0
Body = dict[str, Any]


@dataclass
class Acknowledged:
    """An event as it was sent, and the version that its receipts named for its user: all of them the same."""

    body: Body
    version: int
    receipts: int = 1


@dataclass
class Sent:
    """What all clients together sent and were told."""

    acknowledged: dict[str, Acknowledged] = field(default_factory=dict)
    tries: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, body: Body, versions: dict[str, int]) -> None:
        version = versions[body["user_id"]]
        with self.lock:
            known = self.acknowledged.setdefault(body["event_id"], Acknowledged(body, version, 0))
            known.receipts += 1
            assert version == known.version, f"{body}: {version} after {known.version}"

    def count(self, outcome: str) -> None:
        with self.lock:
            self.tries[outcome] += 1


class RatingLoad:
    """A context manager around clients in threads; each repeats what was not acknowledged, and some of what was."""

    def __init__(self, url: str, clients: int, seed: int) -> None:
        self.sent = Sent()
        self._url = url
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(clients)
        self._seeds = [f"{seed} {number}" for number in range(clients)]
        self._running: list[Future[None]] = []

    def __enter__(self) -> Self:
        self._running = [self._pool.submit(self._client, seed) for seed in self._seeds]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._pool.shutdown()
        if error is None:
            for each in self._running:
                each.result()

    def _client(self, seed: str) -> None:
        chance, number = random.Random(seed), 0
        # A connection of its own for each try: a kept one would be the killed process's.
        limits = httpx.Limits(max_keepalive_connections=0)
        with httpx.Client(base_url=self._url, limits=limits, timeout=5) as http:
            while not self._stop.is_set():
                bodies = [
                    random_event(chance, f"{seed} {number + each}") for each in range(chance.choice((1, 1, 1, 5)))
                ]
                number += len(bodies)
                path = "/rate" if "rating" in bodies[0] else "/feedback"
                bodies = [body for body in bodies if ("rating" in body) == (path == "/rate")]
                for _ in range(2 if chance.random() < 0.1 else 1):
                    self._until_acknowledged(http, path, bodies)

    def _until_acknowledged(self, http: httpx.Client, path: str, bodies: list[Body]) -> None:
        give_up = time.monotonic() + LONGEST_SECONDS
        while True:
            try:
                answer = http.post(path, json=bodies)
            except httpx.TransportError as error:
                self.sent.count(type(error).__name__)
            else:
                self.sent.count(str(answer.status_code))
                if answer.status_code == httpx.codes.OK:
                    for body in bodies:
                        self.sent.note(body, answer.json()["versions"])
                    return
                assert answer.status_code in (429, 503), answer.text
                assert "retry-after" in answer.headers, answer.headers
            assert time.monotonic() < give_up, f"{path} was not acknowledged within {LONGEST_SECONDS:.0f} s"
            time.sleep(PAUSE_SECONDS)


def random_event(chance: random.Random, event_id: str) -> Body:
    """Return the body of an event, for POST /rate if it has a rating, else for POST /feedback."""
    body: Body = {"user_id": f"u{chance.randrange(USERS)}", "item_id": f"item {chance.randrange(ITEMS)}"}
    body["event_id"] = event_id
    if chance.random() < 0.5:
        # In any order, some of one second, so that older ones arrive later.
        body["timestamp"] = float(1_700_000_000 + chance.randrange(2_000))
    if chance.random() < 0.6:
        return body | {"rating": chance.randint(1, 5)}
    return body | {"kind": chance.choice(KINDS)}
