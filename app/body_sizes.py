"""BodySizes: how large the body of a request may be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from app.settings import Settings


def is_of_items(path: str) -> bool:
    """Return whether it is a path of the items, whose bodies may be large."""
    return path == "/items" or path.startswith("/items/")


def is_upload(path: str) -> bool:
    """Return whether it is the path whose bodies are read as they come."""
    return path == "/events/bulk"


@dataclass(frozen=True, slots=True)
class BodySizes:
    """How many bytes the bodies may have."""

    others: int
    items: int
    image: int
    audio: int

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return what the settings say."""
        return cls(
            settings.max_body_bytes, settings.max_item_body_bytes, settings.max_image_bytes, settings.max_audio_bytes
        )

    def most(self, method: str, path: str) -> int:
        """Return the limit of one request."""
        if not is_of_items(path):
            return self.others
        if method != "PUT":
            return self.items
        return self.audio if path.endswith("/audio") else self.image
