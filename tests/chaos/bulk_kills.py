"""Kills in the middle of uploads: what a report counts is there once; the same upload again completes it."""

from __future__ import annotations

import http.client
import json
import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
from redis import Redis
from steered_world import train

from chaos.killable import KillableService, KillableStore
from chaos.kills import MUST_BE_EMPTY, kill_service, kill_store
from chaos.log_audit import PARTITIONS, audit
from chaos.rating_load import Acknowledged, Body, random_event

EVENTS, PIECE = 4_000, 50
NDJSON = "application/x-ndjson"
SLOWEST_SECONDS = 5.0
"""So long a throttled upload takes at least; the kill comes after the first report, which comes after a second."""
WORKERS = 1
LONGEST_SECONDS = 60.0
Report = dict[str, Any]


class Upload:
    """Sends events and follows the reports meanwhile; `pause` seconds lie between two pieces of the body."""

    def __init__(self, url: str, bodies: list[Body], pause: float) -> None:
        self.report: Report = {"line": 0, "accepted": 0, "duplicates": 0, "done": False}
        self.has_report = threading.Event()
        self._host, self._port = httpx.URL(url).host, httpx.URL(url).port
        self._bodies, self._pause = bodies, pause

    def run(self) -> None:
        """Return when it is over, whether or not it is done."""
        with (
            suppress(OSError, http.client.HTTPException),
            socket.create_connection((self._host, self._port), LONGEST_SECONDS) as connection,
        ):
            sender = threading.Thread(target=self._send, args=(connection,))
            sender.start()
            try:
                self._read(connection)
            finally:
                connection.close()
                sender.join()
        self.has_report.set()

    def _read(self, connection: socket.socket) -> None:
        answer = http.client.HTTPResponse(connection, method="POST")
        answer.begin()
        if answer.status == HTTPStatus.OK:
            for line in answer:
                self._note(json.loads(line))

    def _send(self, connection: socket.socket) -> None:
        head = "POST /events/bulk HTTP/1.1", "Host: x", f"Content-Type: {NDJSON}", "Transfer-Encoding: chunked"
        with suppress(OSError):
            connection.sendall("\r\n".join([*head, "", ""]).encode())
            for piece in self._pieces():
                connection.sendall(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            connection.sendall(b"0\r\n\r\n")

    def _note(self, report: Report) -> None:
        # Of a failure too all that it counts is on disk.
        self.report = report
        self.has_report.set()

    def _pieces(self) -> Iterator[bytes]:
        for start in range(0, len(self._bodies), PIECE):
            yield b"".join(json.dumps(body).encode() + b"\n" for body in self._bodies[start : start + PIECE])
            time.sleep(self._pause)


def run(folder: Path, size: int, seed: int, bundle: Path | None = None) -> dict[str, object]:
    """Kill the store in `size` uploads and the service in as many; raises AssertionError if a promise was broken."""
    chance, started = random.Random(seed), time.monotonic()
    bundle = bundle or train(folder / "bundle")
    sent, reported, cut_off = dict[str, Acknowledged](), 0, 0
    with (
        KillableStore(folder / "store") as store,
        KillableService(bundle, store.url, WORKERS, folder / "service.log", LIVEREC_VAR=str(folder)) as service,
    ):
        for number, target in enumerate(chance.sample(["store", "service"] * size, 2 * size)):
            bodies = [random_event(chance, f"{seed} {number} {each}") for each in range(EVENTS)]
            report = _broken(service, store, bodies, target, chance)
            reported += report["line"]
            cut_off += not report["done"]
            missing = {body["event_id"] for body in bodies[: report["line"]]} - _logged(store.url)
            assert not missing, f"seed {seed}: reported and not there: {sorted(missing)[:5]}"
            _complete(service, bodies, report)
            sent |= {body["event_id"]: Acknowledged(body, 10**9) for body in bodies}
        found = audit(store.url, sent)
    broken = {name: found[name] for name in MUST_BE_EMPTY if found[name]}
    assert not broken, f"seed {seed}: {broken}"
    counts = {name: 0 if name in MUST_BE_EMPTY else value for name, value in found.items()}
    kills = {"kills of the store": size, "kills of the service": size, "reported before": reported, "cut off": cut_off}
    return {**kills, **counts, "seconds": round(time.monotonic() - started)}


def _broken(
    service: KillableService, store: KillableStore, bodies: list[Body], target: str, chance: random.Random
) -> Report:
    upload = Upload(service.url, bodies, SLOWEST_SECONDS * PIECE / EVENTS)
    thread = threading.Thread(target=upload.run)
    thread.start()
    assert upload.has_report.wait(LONGEST_SECONDS)
    time.sleep(chance.uniform(0, 1.5))
    if target == "store":
        kill_store(store, chance)
    else:
        kill_service(service, chance)
    thread.join(LONGEST_SECONDS)
    # A store that is back before the next lot comes cuts no upload off.
    assert target == "store" or not upload.report["done"], "the upload was over before the kill"
    service.wait()
    return upload.report


def _complete(service: KillableService, bodies: list[Body], before: Report) -> None:
    ends = time.monotonic() + LONGEST_SECONDS
    while True:
        upload = Upload(service.url, bodies, 0)
        upload.run()
        if upload.report["done"]:
            break
        assert time.monotonic() < ends, f"an upload was not done within {LONGEST_SECONDS:.0f} s"
        time.sleep(0.1)
    assert upload.report["accepted"] + upload.report["duplicates"] == len(bodies)
    assert upload.report["duplicates"] >= before["line"]


def _logged(url: str) -> set[str]:
    with Redis.from_url(url) as redis:
        found: Any = [redis.xrange(f"{{p{partition}}}:log") for partition in range(PARTITIONS)]
    return {json.loads(fields[b"event"])["event_id"] for entries in found for _, fields in entries}
