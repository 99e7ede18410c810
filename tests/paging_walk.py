"""A walk through the pages of one list, while its user goes on rating."""

from __future__ import annotations

import random
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
from steered_world import of_category

WISHES: tuple[dict[str, Any], ...] = (
    {},
    {},
    {"categories": ["red", "blue"]},
    {"categories": ["small", "green"], "match": "all"},
    {"exclude_seen": False},
    {"diversity": 0.3, "boost": ["1 if year >= 1990"]},
    {"model": "popular"},
)


@dataclass
class Walk:
    """What was shown, rated and wrong; `wrong` names each fault by the page it was on."""

    catalogue: Sequence[str]
    wish: dict[str, Any] = field(default_factory=dict)
    shown: list[str] = field(default_factory=list)
    rated: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)
    cursor: str | None = None
    pages: int = 0

    def remaining(self) -> set[str]:
        """Return what may still be shown."""
        found = [of_category(category, self.catalogue) for category in self.wish.get("categories", ())]
        fits = set(self.catalogue)
        if found:
            fits = set.intersection(*found) if self.wish.get("match") == "all" else set.union(*found)
        hidden = self.rated if self.wish.get("exclude_seen", True) else set[str]()
        return fits - set(self.shown) - hidden

    def take(self, answer: dict[str, Any], n: int) -> None:
        """Judge a page."""
        ids, allowed = [item["item_id"] for item in answer["items"]], self.remaining()
        before, self.pages = set(self.shown), self.pages + 1
        if before & set(ids) or len(ids) != len(set(ids)):
            self.wrong.append(f"repeated on page {self.pages}")
        elif set(ids) - allowed:
            self.wrong.append(f"not wanted on page {self.pages}")
        if len(ids) < min(n, len(allowed)):
            self.wrong.append(f"short on page {self.pages}")
        if (answer["cursor"] is None) != (len(ids) < n):
            self.wrong.append(f"cursor on page {self.pages}")
        self.shown += ids
        self.cursor = answer["cursor"]


def walk(http: httpx.Client, chance: random.Random, catalogue: Sequence[str], most: int, pages: int = 10) -> Walk:
    """Walk through up to ten pages of up to `most` items each, and rate something between them."""
    user_id, here = uuid.uuid4().hex, Walk(catalogue, chance.choice(WISHES))
    for _ in range(chance.randrange(4)):
        _rate(http, chance, user_id, here)
    for _ in range(pages):
        n = chance.randint(1, most)
        asked = {"n": n, **here.wish, **({} if here.cursor is None else {"cursor": here.cursor})}
        here.take(http.get(f"/recommend/{user_id}", params=asked).raise_for_status().json(), n)
        if here.cursor is None:
            break
        if chance.random() < 0.8:
            _rate(http, chance, user_id, here)
    return here


def _rate(http: httpx.Client, chance: random.Random, user_id: str, here: Walk) -> None:
    item_id = chance.choice(here.shown if here.shown and chance.random() < 0.3 else here.catalogue)
    rating = {"user_id": user_id, "item_id": item_id, "rating": chance.randint(1, 5)}
    http.post("/rate", json=rating).raise_for_status()
    here.rated.add(item_id)
