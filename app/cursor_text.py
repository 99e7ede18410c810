"""CursorText: how all cursors are spelled for clients, who need not understand them."""

from __future__ import annotations

import base64

from engine.errors import QueryError


def spelled(raw: bytes) -> str:
    """Return bytes as a text that may stand in a URL (base64 without padding)."""
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def unspelled(text: str) -> bytes:
    """Return the bytes of what `spelled` gave; raises ValueError for what has none."""
    return base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)


def foreign(text: str) -> QueryError:
    """Return the error for a text that is no cursor of ours."""
    return QueryError(f"cursor: {text!r:.100} is none that this service gave; begin without one")
