"""FlakyProxy: passes requests on to a real service, and fails as the network does, in an order that is given."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

import httpx


@dataclass(frozen=True)
class Failure:
    """What happens to one request."""

    status: int | None = None
    """Answer this instead of asking the service; None cuts the connection."""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b'{"title": "no", "detail": "not now"}'
    reaches: bool = False
    """Whether the service gets the request all the same."""
    seconds: float = 0.0
    """How long it takes."""


CUT = Failure()
LOST = Failure(reaches=True)


def busy(status: int = 503, after: str | None = "0") -> Failure:
    """Return a refusal that may pass."""
    return Failure(status, () if after is None else (("Retry-After", after),))


@dataclass(frozen=True)
class Seen:
    """A request as it came."""

    method: str
    target: str
    body: bytes
    headers: Mapping[str, str]
    at: float


class FlakyProxy:
    """Listens on a free port; each request takes the next of `failures`, and passes once none is left."""

    def __init__(self, url: str) -> None:
        self.failures: list[Failure] = []
        self.seen: list[Seen] = []
        self._http = httpx.Client(base_url=url)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self._http.close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                proxy.seen.append(Seen(self.command, self.path, body, dict(self.headers), time.monotonic()))
                failure = proxy.failures.pop(0) if proxy.failures else None
                if failure is None or failure.reaches:
                    answer = proxy.passed(proxy.seen[-1])
                if failure is None:
                    self.say(answer.status_code, list(answer.headers.items()), answer.content)
                    return
                time.sleep(failure.seconds)
                if failure.status is None:
                    self.connection.shutdown(socket.SHUT_RDWR)
                    self.close_connection = True
                    return
                self.say(failure.status, list(failure.headers), failure.body)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815

            def say(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
                self.send_response(status)
                for name, value in headers:
                    if name.lower() not in ("content-length", "date", "server"):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                # Who has waited long enough is gone.
                with suppress(ConnectionError):
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def passed(self, request: Seen) -> httpx.Response:
        """Return what the service says."""
        headers = {name: value for name, value in request.headers.items() if name.lower() in ("content-type", "accept")}
        return self._http.request(request.method, request.target, content=request.body, headers=headers)
