"""Bytes that no honest client sends: each answer is HTTP, no error is unforeseen, and others are served meanwhile."""

from __future__ import annotations

import asyncio
import json
import random
import socket
import struct
import time
from collections import Counter
from pathlib import Path

import httptools
from steered_world import train

from chaos.chaos_service import chaos_service
from chaos.hostile_bytes import SMUGGLED, Hostile, get, hostile

AT_ONCE = 16
SILENCE_SECONDS = 0.15
ANSWER_SECONDS = 20.0
PROBLEM = b"application/problem+json"


class Answers:
    """Reads the answers of one connection as HTTP."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.complete = 0
        self.faults: list[str] = []
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[bytes, bytes] = {}
        self._body = b""

    def feed(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.faults.append("an upgrade that nobody offers")
        except httptools.HttpParserError as error:
            self.faults.append(f"no HTTP: {error} in {data[:300]!r}")

    def on_message_begin(self) -> None:
        self._headers, self._body = {}, b""

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        if (status := self._parser.get_status_code()) != 100:
            self.statuses.append(status)

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        if (status := self._parser.get_status_code()) == 100:
            return
        self.complete += 1
        if b"x-request-id" not in self._headers:
            self.faults.append(f"{status} without an X-Request-ID")
        if status >= 500:
            self.faults.append(f"{status}: {self._body[:300]!r}")
        if status >= 400 and (self._headers.get(b"content-type") != PROBLEM or not json.loads(self._body)["detail"]):
            self.faults.append(f"{status} is no problem document: {self._body[:300]!r}")


async def exchange(port: int, case: Hostile) -> Answers:
    """Send a case and read until the service closes, or all is answered and nothing more comes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answers = Answers()
    reading = asyncio.create_task(_read(reader, answers))
    try:
        for piece in case.pieces:
            if not reading.done():
                writer.write(piece)
            await asyncio.sleep(case.pause)
        if case.is_cut:
            # No farewell: the other side gets a reset.
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return answers
        until = time.monotonic() + (ANSWER_SECONDS if case.statuses else SILENCE_SECONDS)
        while not reading.done() and time.monotonic() < until and answers.complete < len(case.statuses or "?"):
            await asyncio.sleep(0.005)
        # There may be one answer too many.
        await asyncio.wait([reading], timeout=SILENCE_SECONDS)
        return answers
    finally:
        reading.cancel()
        writer.close()


async def _read(reader: asyncio.StreamReader, answers: Answers) -> None:
    try:
        while data := await reader.read(65_536):
            answers.feed(data)
    except OSError:
        return


class Attack:
    """Sends cases side by side, each followed by an honest request, and counts what came back."""

    def __init__(self, port: int, seed: int) -> None:
        self.kinds: Counter[str] = Counter()
        self.statuses: Counter[str] = Counter()
        self.faults: list[str] = []
        self._port = port
        self._chance = random.Random(seed)

    async def run(self, size: int) -> None:
        turns = iter(range(size))

        async def one_after_the_other() -> None:
            for _ in turns:
                await self._one(hostile(self._chance))

        await asyncio.gather(*(one_after_the_other() for _ in range(AT_ONCE)))

    async def _one(self, case: Hostile) -> None:
        answers = await exchange(self._port, case)
        self.kinds[case.kind] += 1
        self.statuses.update(map(str, answers.statuses or ["none"]))
        faults = answers.faults
        if case.statuses is not None and tuple(answers.statuses) != case.statuses and not case.is_cut:
            faults = [*faults, f"answered {answers.statuses}, not {list(case.statuses)}"]
        honest = await exchange(self._port, Hostile("honest", (get(headers=b"Connection: close\r\n"),), (200,)))
        if honest.statuses != [200]:
            faults = [*faults, f"after it an honest request got {honest.statuses}"]
        self.faults += [f"{case.kind}: {fault}; sent {b''.join(case.pieces)[:300]!r}" for fault in faults]


def run(folder: Path, size: int, seed: int, bundle: Path | None = None) -> dict[str, object]:
    """Send so many cases to a service; slow ones are given two seconds."""
    bundle = bundle or train(folder / "bundle")
    with chaos_service(bundle, folder, LIVEREC_HEAD_SECONDS="2", LIVEREC_BODY_SECONDS="2") as service:
        attack, began = Attack(service.port, seed), time.monotonic()
        asyncio.run(attack.run(size))
        seconds = time.monotonic() - began
        history = asyncio.run(_body(service.port, b"/users/%s/history" % SMUGGLED.encode()))
        assert service.process.poll() is None, "the service has ended"
        assert not service.tracebacks(), service.tracebacks()
    assert not attack.faults, f"seed {seed}: {len(attack.faults)} faults, such as {attack.faults[:3]}"
    assert b'"events":[]' in history.replace(b" ", b""), f"a smuggled rating was taken: {history[:300]!r}"
    return {
        "cases": size,
        "honest requests in between": size,
        "seconds": round(seconds),
        "kinds": dict(attack.kinds),
        "by status": dict(sorted(attack.statuses.items())),
    }


async def _body(port: int, path: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(get(path, b"Connection: close\r\n"))
    found = await reader.read()
    writer.close()
    return found
