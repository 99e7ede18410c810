"""A socket to a service, for what no HTTP client would send."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

LIVE = b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n"


@dataclass(frozen=True)
class RawAnswer:
    status: int
    headers: dict[str, str]
    content: bytes

    def json(self) -> Any:
        return json.loads(self.content)

    def check_problem(self, status: int, *words: str) -> None:
        """Fail unless it is a refusal that says why and ends the connection."""
        assert self.status == status, self
        assert self.headers["content-type"] == "application/problem+json"
        assert self.headers["connection"] == "close"
        assert len(self.headers["x-request-id"]) > 0
        for word in words:
            assert word in self.json()["detail"], self


class RawConnection:
    """A context manager; `answer` reads one answer, `is_closed` waits for the end."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=15)
        self._rest = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._socket.close()

    def send(self, *pieces: bytes) -> Self:
        for piece in pieces:
            self._socket.sendall(piece)
        return self

    def answer(self) -> RawAnswer:
        while b"\r\n\r\n" not in self._rest:
            self._read()
        head, self._rest = self._rest.split(b"\r\n\r\n", 1)
        first, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        length = int(headers["content-length"])
        while len(self._rest) < length:
            self._read()
        content, self._rest = self._rest[:length], self._rest[length:]
        return RawAnswer(int(first.split()[1]), headers, content)

    def is_closed(self) -> bool:
        """Return True once the service has closed, False if it sends something instead."""
        try:
            return not self._rest and self._socket.recv(1) == b""
        except ConnectionError:
            return True

    def _read(self) -> None:
        data = self._socket.recv(65_536)
        assert data, f"the connection ended after {self._rest!r}"
        self._rest += data
