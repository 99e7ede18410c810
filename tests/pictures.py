"""Images as clients send them."""

from __future__ import annotations

import base64
import io

from PIL import Image

BOMB_SIDE = 5_000


def picture(colour: str = "red", side: int = 300) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (2 * side, side), colour).save(file, "PNG")
    return file.getvalue()


def bomb() -> bytes:
    """A PNG of a few kilobytes with 25 million pixels."""
    file = io.BytesIO()
    Image.new("1", (BOMB_SIDE, BOMB_SIDE)).save(file, "PNG", compress_level=9)
    return file.getvalue()


def text(encoded: bytes) -> str:
    return base64.b64encode(encoded).decode()
