"""Clients that never try again: what fails once has failed. Some are always busy, some mostly idle."""

from __future__ import annotations

import asyncio
import json
import random
import time
from dataclasses import dataclass, field
from typing import Any, Self

USERS, ITEMS, WANTED = 200, 30, 5
BUSY_SECONDS, LEISURELY_SECONDS = 0.005, 0.7
ANSWER_SECONDS = 15.0


@dataclass(frozen=True)
class Answered:
    """One answer: what it was to, when that was sent (time.monotonic), and over which connection."""

    began: float
    seconds: float
    connection: int
    model_version: str | None


@dataclass
class SteadyLoad:
    """A context manager around clients, each with one connection that is opened again only when the service closed it.

    failures: requests without an answer, with half an answer, or with another one than expected.
    """

    port: int
    seed: int
    busy: int = 6
    leisurely: int = 2
    answered: list[Answered] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    acknowledged: dict[str, list[str]] = field(default_factory=dict)
    connections: int = 0
    _clients: list[asyncio.Task[None]] = field(default_factory=list)
    _is_over: bool = False

    async def __aenter__(self) -> Self:
        pauses = [BUSY_SECONDS] * self.busy + [LEISURELY_SECONDS] * self.leisurely
        for number, pause in enumerate(pauses):
            self._clients.append(asyncio.create_task(self._client(random.Random(f"{self.seed} {number}"), pause)))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._is_over = True
        await asyncio.gather(*self._clients)

    async def _client(self, chance: random.Random, pause: float) -> None:
        connection: Connection | None = None
        while not self._is_over:
            try:
                if connection is None or not connection.is_open:
                    self.connections += 1
                    connection = await Connection.to(self.port, self.connections)
                async with asyncio.timeout(ANSWER_SECONDS):
                    await self._ask(connection, chance)
            except (OSError, EOFError, TimeoutError, ValueError, AssertionError) as error:
                self.failures.append(f"{type(error).__name__}: {error}"[:500])
                connection = None
            await asyncio.sleep(pause * chance.uniform(0.5, 1.5))
        if connection is not None:
            connection.close()

    async def _ask(self, connection: Connection, chance: random.Random) -> None:
        user_id, kind, began = f"user{chance.randrange(USERS)}", chance.random(), time.monotonic()
        version = None
        if kind < 0.3:
            body = {"user_id": user_id, "item_id": f"item {chance.randrange(ITEMS)}", "rating": chance.randint(1, 5)}
            event_id = f"{chance.getrandbits(64):x}"
            receipt = await connection.request("POST", "/rate", body | {"event_id": event_id})
            assert receipt["accepted"] == 1, receipt
            self.acknowledged.setdefault(user_id, []).append(event_id)
        elif kind < 0.4:
            ready = await connection.request("GET", "/health/live")
            assert ready == {"status": "live"}, ready
        else:
            options = chance.choice(["", "&filter=year%20%3E%201990", "&explain=true"])
            answer = await connection.request("GET", f"/recommend/{user_id}?n={WANTED}&exclude_seen=false{options}")
            check_list(answer, user_id)
            version = answer["model_version"]
        self.answered.append(Answered(began, time.monotonic() - began, connection.number, version))


def check_list(answer: dict[str, Any], user_id: str) -> None:
    """Fail unless an answer is whole."""
    assert answer["user_id"] == user_id, answer
    assert answer["degraded"] is None, answer
    assert [item["rank"] for item in answer["items"]] == list(range(1, WANTED + 1)), answer
    assert len({item["item_id"] for item in answer["items"]}) == WANTED, answer


@dataclass
class Connection:
    """HTTP/1.1 over one socket, as plain as it gets."""

    number: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    is_open: bool = True

    @classmethod
    async def to(cls, port: int, number: int = 0) -> Connection:
        return cls(number, *await asyncio.open_connection("127.0.0.1", port))

    async def request(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Return the JSON of a 200; raises EOFError where the connection ends before."""
        content = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(content)}\r\n\r\n"
        self.writer.write(head.encode() + content)
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
        answer = await self.reader.readexactly(int(headers["content-length"]))
        if headers.get("connection") == "close":
            self.close()
        assert lines[0].split()[1] == "200", f"{method} {path}: {lines[0]} {answer.decode()[:300]}"
        return json.loads(answer)

    def close(self) -> None:
        self.is_open = False
        self.writer.close()
