"""RequestHead: what the head of a request says of its body, and of the page that sent it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

NAMES = frozenset({b"content-length", b"transfer-encoding", b"content-type", b"origin", b"sec-fetch-site", b"host"})


@dataclass(frozen=True, slots=True)
class RequestHead:
    """Empty strings for what is not said. `origin` is of the page, `host` what the client takes the service for."""

    has_body: bool
    content_type: str
    origin: str
    fetch_site: str
    host: str

    @classmethod
    def of(cls, headers: Iterable[tuple[bytes, bytes]]) -> Self:
        """Return what the headers say, lower case, the type without its parameters."""
        said = {name: value.decode("latin-1").strip().lower() for name, value in headers if name in NAMES}
        has_body = b"transfer-encoding" in said or said.get(b"content-length", "0").strip("0") != ""
        kind = said.get(b"content-type", "").partition(";")[0].strip()
        return cls(has_body, kind, said.get(b"origin", ""), said.get(b"sec-fetch-site", ""), said.get(b"host", ""))
