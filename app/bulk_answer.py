"""BulkAnswer: the reports of an upload, sent while it goes on."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from http import HTTPStatus

from fastapi import Response
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from app.bulk_lines import NDJSON
from app.bulk_report import BulkReport
from app.event_encoding import encode_json
from app.problems import STATUS
from engine.errors import LiverecError


class BulkAnswer(Response):
    """Begins with the first report. What goes wrong later is said in the last line, for the status is sent by then.

    Starlette's own streaming answer would read what is left of the body, to learn whether the client is still there.
    """

    media_type = NDJSON

    def __init__(self, first: BulkReport, reports: AsyncGenerator[BulkReport, None]) -> None:
        super().__init__()
        # Its length is not known.
        del self.headers["content-length"]
        self._first = first
        self._reports = reports

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Send the reports, each as a line."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async with aclosing(self._reports):
            try:
                await self._send(self._first.encoded(), send)
                async for report in self._reports:
                    await self._send(report.encoded(), send)
            except ClientDisconnect:
                return
            except LiverecError as error:
                await self._send(_last_line(error), send)
        await send({"type": "http.response.body", "body": b""})

    async def _send(self, line: bytes, send: Send) -> None:
        await send({"type": "http.response.body", "body": line, "more_body": True})


def _last_line(error: LiverecError) -> bytes:
    status = STATUS.get(type(error), HTTPStatus.INTERNAL_SERVER_ERROR)
    return encode_json({**error.members, "status": int(status), "detail": str(error)}).encode() + b"\n"
