"""BoundedProtocol: HTTP/1.1 for clients that may be slow, wrong or hostile."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, cast

import httptools
from fastapi import Response
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from app.connection_limits import (
    LEAST_BYTES_PER_SECOND,
    MOST_HEAD_BYTES,
    ConnectionLimits,
    RefusedError,
)
from app.draining import Draining
from app.joined_transport import JoinedTransport
from app.middleware import DRAINING, REQUEST_ID, request_id
from app.problems import RETRY_SECONDS, problem
from app.security_headers import CONSTANT

TICK_SECONDS = 1.0
LINGER_SECONDS = 1.0
"""How long a refused client may go on sending: if it were cut off, it might never read why."""
FIRST_SECONDS = 1.0
"""How long a worker that ends waits for the first request of who has just connected."""
PIECE_BYTES = 16_384
"""How much is parsed at once: a read may bring more than a whole head may have."""
NEVER = math.inf


class BoundedProtocol(HttpToolsProtocol):
    """Bounds the head of a request, the time that it takes to come, and the connections of a worker.

    What it refuses gets a problem document, after the answers to what came before on the same connection. A worker that
    ends goes on answering on the connections that it has, and says with each answer that the connection ends.
    """

    def __init__(
        self,
        config: Config,
        server_state: Draining,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._draining = server_state
        self._limits: ConnectionLimits = config.limits  # type: ignore[attr-defined]
        self._tick: asyncio.TimerHandle | None = None
        self._due = self._write_due = NEVER
        self._is_in_head = self._is_in_body = self._is_refused = self._is_surplus = self._is_over = False
        self._held_bytes = self._header_bytes = self._body_bytes = 0
        self._body_began = 0.0
        self._drained_at: float | None = None
        self._last_to_drain: RequestResponseCycle | None = None

    @property
    def _is_idle(self) -> bool:
        return (self.cycle is None or self.cycle.response_complete) and not self.pipeline

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, unless there are too many already."""
        self._joined = JoinedTransport(transport, self.loop)
        super().connection_made(self._joined)
        if len(self.connections) > 2 * self._limits.connections:
            transport.abort()
            return
        self._is_surplus = len(self.connections) > self._limits.connections
        self._due = self.loop.time() + (LINGER_SECONDS if self._is_surplus else self._limits.head)
        self._look_again()
        if self._draining.ends_at is not None:
            self._drain_until(max(self._draining.ends_at, self.loop.time() + FIRST_SECONDS))

    def connection_lost(self, exc: Exception | None) -> None:
        """End; what is under way learns that nobody listens."""
        if self._tick is not None:
            self._tick.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, and begin each request whose head is complete."""
        if self._is_over or self._is_refused:
            return
        if self._is_surplus:
            self._refuse(self._limits.crowd())
            return
        self._unset_keepalive_if_required()
        try:
            self._feed(data)
        except RefusedError as error:
            self._refuse(error)
        else:
            self._watch(len(data))

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._is_in_head, self._held_bytes, self._header_bytes = True, 0, 0
        self._due = self.loop.time() + self._limits.head

    def on_url(self, url: bytes) -> None:
        """A piece of the URL has come."""
        super().on_url(url)
        self._limits.check_url(len(self.url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header is complete; what follows a body is none."""
        self._header_bytes += len(name) + len(value)
        self._limits.check_headers(len(self.headers) + 1, self._header_bytes)
        if self._is_in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is complete: the request begins, or waits for those before it."""
        before = self.cycle
        super().on_headers_complete()
        self._is_in_head, self._is_in_body = False, True
        self._body_bytes, self._body_began = 0, self.loop.time()
        if self._drained_at is not None:
            cast(dict[str, Any], self.scope)[DRAINING] = True
            self._close_after(before)

    def on_body(self, body: bytes) -> None:
        """A piece of the body has come."""
        self._held_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is complete."""
        self._is_in_body, self._held_bytes, self._due = False, 0, NEVER
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """An answer is written."""
        self._joined.flush()
        super().on_response_complete()
        if self._is_idle and self._drained_at is not None:
            self._due = self._drained_at

    def shutdown(self) -> None:
        """Answer what is under way and what comes until the grace is over; no answer is followed by another then."""
        # Who connected while the worker ended knows already.
        if self._drained_at is None and self._draining.ends_at is not None:
            self._drain_until(self._draining.ends_at)

    def pause_writing(self) -> None:
        """The client does not read."""
        super().pause_writing()
        self._write_due = self.loop.time() + self._limits.body

    def resume_writing(self) -> None:
        """The client reads on."""
        super().resume_writing()
        self._write_due = NEVER

    def _feed(self, data: bytes) -> None:
        pieces = memoryview(data)
        try:
            for start in range(0, len(data), PIECE_BYTES):
                self._feed_piece(pieces[start : start + PIECE_BYTES])
        except httptools.HttpParserUpgrade:
            # Answered as if it had not asked; what it sends after that would not be HTTP/1.1.
            self._is_over = True
            self.cycle.keep_alive = False
        except httptools.HttpParserError as error:
            if isinstance(error.__context__, RefusedError):
                raise error.__context__ from error
            raise RefusedError(HTTPStatus.BAD_REQUEST, f"this is no HTTP/1.1 request ({error}); mend it") from error

    def _feed_piece(self, piece: memoryview) -> None:
        self._held_bytes += len(piece)
        self.parser.feed_data(piece)
        # A header that never ends reaches no callback, nor does what may follow a body.
        if self._held_bytes > MOST_HEAD_BYTES:
            self._limits.check_headers(0, self._held_bytes)

    def _watch(self, size: int) -> None:
        if self._is_in_body:
            self._body_bytes += size
            earned = self._body_began + self._body_bytes / LEAST_BYTES_PER_SECOND
            self._due = min(self.loop.time(), earned) + self._limits.body
        elif not self._is_in_head and self._is_idle and self._due == NEVER:
            # Line feeds before a request are allowed, but not for ever.
            self._due = self.loop.time() + self._limits.head

    def _look_again(self) -> None:
        now = self.loop.time()
        if self.flow.read_paused:
            # It is the service that keeps the client waiting.
            self._due = max(self._due, now + TICK_SECONDS)
        if self.transport.is_closing():
            # What was sent is still being read.
            self._write_due = min(self._write_due, now + self._limits.body)
        if now >= self._write_due:
            self.transport.abort()
        elif now >= self._due:
            self._expire()
        self._tick = self.loop.call_later(TICK_SECONDS, self._look_again)

    def _expire(self) -> None:
        if self.transport.is_closing():
            return
        self._due = self.loop.time() + LINGER_SECONDS
        if self._is_refused:
            self.transport.abort()
        elif self._is_in_body:
            self._refuse(self._limits.late_body())
        elif self._is_in_head:
            self._refuse(self._limits.late_head())
        elif self._is_idle:
            self.transport.close()

    def _drain_until(self, moment: float) -> None:
        self._drained_at = moment
        if not self._is_idle:
            self._close_after(None)
        self.loop.call_at(moment, self._close_idle)

    def _close_idle(self) -> None:
        if self._is_idle and not self._is_in_head and not self.transport.is_closing():
            self.transport.close()

    def _close_after(self, before: RequestResponseCycle | None) -> None:
        # Of requests that came at once all are answered: the last one's answer says that it is the last.
        if before is not None and before is self._last_to_drain and not before.response_started:
            before.keep_alive = True
        if not self.cycle.response_started and self.cycle.keep_alive:
            self.cycle.keep_alive = False
            self._last_to_drain = self.cycle

    def _refuse(self, error: RefusedError) -> None:
        self._is_refused = True
        if self.transport.is_closing():
            return
        self._count(error.status)
        answer = _answer(error, self.headers or ())
        if self._is_in_body and self.pipeline:
            # What is broken has not begun.
            self.pipeline.popleft()
        elif self._is_in_body:
            self._break_off(answer)
            return
        if self._is_idle:
            self._write(answer)
        else:
            self._enqueue(answer)

    def _break_off(self, answer: Response) -> None:
        """Refuse the request whose body is wrong; what is answered already has only the connection closed."""
        if self.cycle.response_complete:
            self.transport.close()
        elif self.cycle.response_started:
            self.cycle.keep_alive = False
        else:
            # Who waits for the body learns that it will not come.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            self._write(answer)

    def _enqueue(self, answer: Response) -> None:
        scope = {"type": "http", "method": "GET", "http_version": "1.1", "headers": []}
        self.cycle = RequestResponseCycle(
            scope=scope,  # type: ignore[arg-type]
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=False,
            on_response=self.on_response_complete,
        )
        self.pipeline.appendleft((self.cycle, answer))  # type: ignore[arg-type]

    def _write(self, answer: Response) -> None:
        self.flow.resume_reading()
        self._due = self.loop.time() + LINGER_SECONDS
        lines = [name + b": " + value for name, value in (*self.server_state.default_headers, *answer.raw_headers)]
        self.transport.write(STATUS_LINE[answer.status_code] + b"\r\n".join(lines) + b"\r\n\r\n" + answer.body)
        self.transport.write_eof()

    def _count(self, status: HTTPStatus) -> None:
        if metrics := self.app_state.get("metrics"):
            metrics.refused.labels(str(int(status))).inc()


def _answer(error: RefusedError, headers: Iterable[tuple[bytes, bytes]]) -> Response:
    given = dict(headers).get(REQUEST_ID.encode(), b"").decode("latin-1")
    more = {**CONSTANT, "Connection": "close", REQUEST_ID: request_id(given)}
    if error.status == HTTPStatus.SERVICE_UNAVAILABLE:
        more["Retry-After"] = RETRY_SECONDS
    return problem(error.status, error.detail, more)
