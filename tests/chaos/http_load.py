"""HttpLoad: requests at fixed times, whatever the answers take; thin, for what it takes itself is measured too."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

LONGEST_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Request:
    """One request of HTTP/1.1; `tag` is for who evaluates the answer."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    tag: Any = None

    def encoded(self) -> bytes:
        lines = [f"{self.method} {self.path} HTTP/1.1", "Host: service", f"Content-Length: {len(self.body)}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        return "\r\n".join([*lines, "", ""]).encode() + self.body


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of a request that was due at `due` and got its answer at `ended` (time.monotonic); status 0: none."""

    request: Request
    due: float
    ended: float
    status: int
    headers: bytes = b""
    body: bytes = b""

    @property
    def seconds(self) -> float:
        return self.ended - self.due

    @property
    def took_ms(self) -> float:
        """Milliseconds that the service itself says that it took."""
        return float(json.loads(self.body)["took_ms"])

    @property
    def degraded(self) -> str | None:
        reason: str | None = json.loads(self.body)["degraded"]
        return reason


class HttpLoad:
    """Sends `rate` requests a second from when it begins to when it ends; what they became is in `answers`."""

    def __init__(self, port: int, rate: float, next_request: Callable[[], Request]) -> None:
        self.answers: list[Answered] = []
        self._port = port
        self._rate = rate
        self._next = next_request
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._under_way: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Send all the while; ends when all have their answers."""
        sending = asyncio.create_task(self._send_all())
        try:
            yield
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            await asyncio.gather(*self._under_way)
            for _, writer in self._idle:
                writer.close()

    async def _send_all(self) -> None:
        due = time.monotonic()
        while True:
            await asyncio.sleep(max(due - time.monotonic(), 0))
            task = asyncio.create_task(self._send(self._next(), due))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
            due += 1 / self._rate

    async def _send(self, request: Request, due: float) -> None:
        try:
            async with asyncio.timeout(LONGEST_SECONDS):
                answer = await self._exchanged(request)
        except (OSError, asyncio.IncompleteReadError) as error:
            answer = 0, b"", repr(error).encode()
        self.answers.append(Answered(request, due, time.monotonic(), *answer))

    async def _exchanged(self, request: Request) -> tuple[int, bytes, bytes]:
        while self._idle:
            connection = self._idle.pop()
            try:
                return await self._on(connection, request)
            except (ConnectionError, asyncio.IncompleteReadError) as error:
                # The service closes what was idle for long; it has not seen the request.
                if getattr(error, "partial", b""):
                    raise
        return await self._on(await asyncio.open_connection("127.0.0.1", self._port), request)

    async def _on(
        self, connection: tuple[asyncio.StreamReader, asyncio.StreamWriter], request: Request
    ) -> tuple[int, bytes, bytes]:
        reader, writer = connection
        try:
            writer.write(request.encoded())
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
            body = await reader.readexactly(length)
        except BaseException:
            writer.close()
            raise
        self._idle.append(connection)
        return int(head[9:12]), head, body
