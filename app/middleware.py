"""Middleware: a request id on everything. Plain ASGI, so that the hot path stays short."""

from __future__ import annotations

import random
import re
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.failure_log import log_failure
from app.problems import problem

REQUEST_ID = "x-request-id"
ARRIVED = "liverec.arrived"
"""Where a request says when it came (time.perf_counter): its deadline counts from there."""
DRAINING = "liverec.draining"
"""Where a request says that the worker which answers it is about to end."""
CHANCE = random.Random()  # noqa: S311 (no secret)
PRINTABLE = re.compile(r"[\x21-\x7e]{1,128}")


NAME = REQUEST_ID.encode()


def request_id(given: str) -> str:
    """Return what the client sent as X-Request-ID, or a new one where that is not printable and short."""
    return given if given and PRINTABLE.fullmatch(given) else new_id()


def new_id() -> str:
    """Return 32 hex digits that nobody else has; who wants to guess them may."""
    return f"{CHANCE.getrandbits(128):032x}"


def _given(headers: list[tuple[bytes, bytes]]) -> str:
    return next((value.decode("latin-1") for name, value in headers if name == NAME), "")


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
        own = request_id(_given(scope["headers"]))
        started = False
        scope[ARRIVED] = time.perf_counter()

        async def send_with_id(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = [*message["headers"], (NAME, own.encode())]
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
