"""Middleware: a request id on everything. Plain ASGI, so that the hot path stays short."""

from __future__ import annotations

import re
import time
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.failure_log import log_failure
from app.problems import problem

REQUEST_ID = "x-request-id"
ARRIVED = "liverec.arrived"
"""Where a request says when it came (time.perf_counter): its deadline counts from there."""
DRAINING = "liverec.draining"
"""Where a request says that the worker which answers it is about to end."""
PRINTABLE = re.compile(r"[\x21-\x7e]{1,128}")


def request_id(given: str) -> str:
    """Return what the client sent as X-Request-ID, or a new one where that is not printable and short."""
    return given if PRINTABLE.fullmatch(given) else uuid.uuid4().hex


class RequestId:
    """Gives back the client's X-Request-ID, or a new one where it sent none that is printable and short.

    What nobody foresaw ends here: a 500 with the id, and the id with the traceback in the log.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        own = request_id(Headers(scope=scope).get(REQUEST_ID, ""))
        started = False
        scope[ARRIVED] = time.perf_counter()

        async def send_with_id(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                MutableHeaders(scope=message)[REQUEST_ID] = own
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception as error:  # noqa: BLE001 (it is logged, and nothing may end the worker)
            log_failure(f"unforeseen error in request {own}", error)
            if started:
                # Raised, it would be logged with all that it says. The server cuts off an answer that is not whole.
                return
            answer = problem(500, f"an unforeseen error; the log has it under X-Request-ID {own}")
            await answer(scope, receive, send_with_id)
