"""Address: where the service is, and how the client shows itself to it."""

from __future__ import annotations

import httpx

DEFAULT_URL = "http://127.0.0.1:8000"


def base_url(url: str) -> httpx.URL:
    """Return the URL; raises ValueError if it is none of HTTP."""
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ValueError(f"url: {url!r} is none ({error}); give one such as {DEFAULT_URL}") from error
    if address.scheme not in ("http", "https") or not address.host:
        raise ValueError(f"url: {url!r} is none of HTTP; give one such as {DEFAULT_URL}")
    return address


def headers(api_key: str | None) -> dict[str, str]:
    """Return the headers of all requests; raises ValueError, without the key, for one that no header can hold."""
    if api_key is not None and not (api_key.isascii() and api_key.isprintable() and api_key.strip()):
        raise ValueError("api_key: it must be printable ASCII; give the whole line that `liverec keys add` printed")
    return {"Accept": "application/json"} | ({} if api_key is None else {"X-API-Key": api_key})
