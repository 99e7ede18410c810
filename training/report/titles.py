"""Titles: what people call the items."""

from __future__ import annotations

from typing import Any

from engine.items import ItemTable
from engine.vocabulary import UNKNOWN

LONGEST = 80


class Titles:
    """The words of an item's metadata, as one printable line; an item without a title has its id."""

    def __init__(self, items: ItemTable) -> None:
        self._items = items

    def of(self, item_id: str) -> str:
        """Return the title of an item, known to the catalogue or not."""
        title = self._metadata(item_id).get("title")
        return (readable(str(title)) if title else "") or readable(item_id)

    def categories(self, item_id: str) -> list[str]:
        """Return the categories of an item, empty where none are given."""
        given = self._metadata(item_id).get("categories")
        return [readable(str(each)) for each in given] if isinstance(given, list) else []

    def _metadata(self, item_id: str) -> dict[str, Any]:
        index = self._items.vocabulary.index_of(item_id)
        return {} if index == UNKNOWN else self._items.metadata_of(index)


def readable(text: str) -> str:
    """Return text as one line without control characters (some of which reorder what follows), not too long."""
    line = " ".join("".join(sign if sign.isprintable() else " " for sign in text[: 4 * LONGEST]).split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"
