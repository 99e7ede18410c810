"""ConnectionLimits: how many connections a worker has, and how long each may keep it waiting."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

from app.settings import Settings

MOST_URL_BYTES = 65_535
"""What the parser of URLs can address."""
MOST_HEADERS = 100
MOST_HEADER_BYTES = 32_768
MOST_HEAD_BYTES = MOST_URL_BYTES + MOST_HEADER_BYTES + 1_024
"""Of a request on the wire, with what stands between URL, names and values: of 100 headers 417 bytes at least."""
LEAST_BYTES_PER_SECOND = 1_000.0
"""What a body must bring on average, once its first seconds are over."""


class RefusedError(Exception):
    """A request that is not passed on, with the status and the detail of its answer."""

    def __init__(self, status: HTTPStatus, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Seconds, but for `connections`."""

    connections: int
    head: float
    body: float
    drain: float

    @classmethod
    def of(cls, settings: Settings) -> ConnectionLimits:
        """Return what the settings say."""
        return cls(settings.max_connections, settings.head_seconds, settings.body_seconds, settings.drain_seconds)

    def check_url(self, size: int) -> None:
        """Raise RefusedError for a URL that is too long."""
        if size > MOST_URL_BYTES:
            raise RefusedError(
                HTTPStatus.REQUEST_URI_TOO_LONG, f"the URL is longer than {MOST_URL_BYTES} bytes; shorten it"
            )

    def check_headers(self, count: int, size: int) -> None:
        """Raise RefusedError for too many headers, or too many bytes of them."""
        if count > MOST_HEADERS or size > MOST_HEADER_BYTES:
            detail = f"there are more than {MOST_HEADERS} headers, or more than {MOST_HEADER_BYTES} bytes; send less"
            raise RefusedError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, detail)

    def late_head(self) -> RefusedError:
        """Return why a head that does not come to its end is refused."""
        detail = f"the head of the request did not arrive within {self.head:g} s (LIVEREC_HEAD_SECONDS); send it again"
        return RefusedError(HTTPStatus.REQUEST_TIMEOUT, detail)

    def late_body(self) -> RefusedError:
        """Return why a body that does not come to its end is refused."""
        detail = f"the body stalled for {self.body:g} s (LIVEREC_BODY_SECONDS) or came too slowly; send it again"
        return RefusedError(HTTPStatus.REQUEST_TIMEOUT, detail)

    def crowd(self) -> RefusedError:
        """Return why a connection beyond the most is refused."""
        detail = f"this worker has {self.connections} connections (LIVEREC_MAX_CONNECTIONS); try again"
        return RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, detail)
