"""A service whose bundle reads items: the ring of tests/worlds.py, and a network that knows where on it they belong.

    python tests/app/content_service.py BUNDLE PORT [VERSION]

The content of an item is `near`, an item of the ring, and the mean colour of its image.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import uvicorn

from app.service import create_app
from app.settings import Settings
from engine.bundle import Bundle
from engine.content_source import ContentSource
from engine.errors import DataError
from engine.image_decoding import image_pixels
from engine.item_content import ItemContent
from engine.recommender import Recommender

RING = 24


class PlaceNetwork:
    """Content vectors [B,5]: cosine and sine of the place on the ring, then red, green and blue."""

    def __init__(self, version: str) -> None:
        self.version = version

    def has_content(self, content: ItemContent) -> bool:
        return content.image is not None or "near" in content.metadata

    def encode(self, contents: Sequence[ItemContent]) -> np.ndarray:
        return np.stack([place(content) for content in contents])


def place(content: ItemContent) -> np.ndarray:
    vector = np.zeros(5, dtype=np.float32)
    if near := content.metadata.get("near"):
        if near == "nowhere":
            raise DataError("near is 'nowhere'; name an item of the ring")
        angle = 2 * np.pi * int(str(near).removeprefix("item ")) / RING
        vector[:2] = np.cos(angle), np.sin(angle)
    if content.image is not None:
        vector[2:] = image_pixels(content.image, 8, 8, 1_000_000).mean(axis=(1, 2))
    return vector


def readable(folder: Path, version: str) -> tuple[SimpleNamespace, Recommender]:
    """Return the ring's bundle with a content network, and its recommender."""
    bundle = Bundle.open(folder)
    vectors = np.stack([place(ItemContent({"near": item_id})) for item_id in bundle.items.vocabulary.ids()])
    source = ContentSource("content", vectors)
    whole = bundle.recommender()
    recommender = Recommender(whole.items, whole.window, [source], ratings=whole.ratings)
    return SimpleNamespace(model_version=bundle.model_version, content=PlaceNetwork(version)), recommender


if __name__ == "__main__":
    folder, port, *version = sys.argv[1:]
    settings = Settings.read({"bundle": Path(folder), "port": int(port)})
    app = create_app(settings, readable(settings.bundle, (version or ["1"])[0]))
    uvicorn.run(app, port=settings.port, http="httptools", log_level="warning", access_log=False)
