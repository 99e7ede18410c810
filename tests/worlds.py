"""Worlds with a known answer, generated from a seed."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from PIL import Image

from engine.item_content import ItemContent
from training.dataset import Dataset

SCHEMA = {
    "user_id": pl.String,
    "item_id": pl.String,
    "kind": pl.String,
    "value": pl.Float64,
    "timestamp": pl.Float64,
    "row": pl.UInt64,
}


def markov_chain(users: int = 80, items: int = 24, events: int = 14, seed: int = 0) -> pl.DataFrame:
    """Users walk round a ring of items: after item i comes item i + 1, always. Ratings are 1..5 at random."""
    random = np.random.default_rng(seed)
    starts = random.integers(0, items, users)
    rows = [
        (f"user {user}", f"item {(starts[user] + step) % items}", float(random.integers(1, 6)), 1_000.0 * step)
        for user in range(users)
        for step in range(events)
    ]
    return _frame(rows)


def checkerboard(users: int = 60, items: int = 24, events: int = 8, seed: int = 0) -> pl.DataFrame:
    """Even users like even items, odd users odd ones, in random order: a good list has items of one colour only."""
    random = np.random.default_rng(seed)
    rows = []
    for user in range(users):
        own = np.arange(user % 2, items, 2)
        for step, item in enumerate(random.permutation(own)[:events]):
            rows.append((f"user {user}", f"item {item}", float(random.integers(4, 6)), 1_000.0 * step))
    return _frame(rows)


TOPICS = (
    ("space", "rocket orbit planet comet alien galaxy", (200, 40, 40)),
    ("cooking", "garlic oven recipe butter soup kitchen", (40, 180, 60)),
    ("crime", "murder detective alibi witness police trial", (50, 70, 210)),
)
NOISE = (
    "a",
    "the",
    "of",
    "one",
    "day",
    "old",
    "young",
    "story",
    "who",
    "finds",
    "lost",
    "home",
    "again",
    "with",
    "friend",
)


@dataclass(frozen=True, slots=True)
class TopicWorld:
    """Users like the items of one topic; items by id, with their metadata, pictures and the topic that nobody is told.

    The newcomers are described as the others are, but no event has them.
    """

    events: pl.DataFrame
    topic: dict[str, int]
    metadata: dict[str, dict[str, Any]]
    pictures: dict[str, bytes]
    known: tuple[str, ...]
    newcomers: tuple[str, ...]

    def contents(self, item_ids: Sequence[str]) -> list[ItemContent]:
        return [ItemContent(self.metadata[each], self.pictures.get(each)) for each in item_ids]

    def dataset(self, media: Path, name: str = "topics") -> Dataset:
        """Write the pictures into a folder, and return what training reads."""
        for item_id, encoded in self.pictures.items():
            (media / f"{item_id}.png").write_bytes(encoded)
        rows = [
            {"item_id": each, **self.metadata[each]} | ({"image": f"{each}.png"} if each in self.pictures else {})
            for each in (*self.known, *self.newcomers)
        ]
        items = pl.from_dicts(rows, infer_schema_length=None).lazy()
        return Dataset(name, {"all": self.events.lazy()}, items, media)


def topics(
    told_by: Sequence[str] = ("words",), users: int = 60, per_topic: int = 14, new: int = 4, seed: int = 0
) -> TopicWorld:
    """User u likes topic u % 3. It is told by "words" of the description, "categories", or the colour of a "picture".

    Each meets nine items of the topic in random order and rates them 4 or 5.
    """
    random = np.random.default_rng(seed)
    count = len(TOPICS) * per_topic
    known = tuple(f"item {item:02}" for item in range(count))
    newcomers = tuple(f"new {item:02}" for item in range(len(TOPICS) * new))
    topic = {item_id: number % len(TOPICS) for ids in (known, newcomers) for number, item_id in enumerate(ids)}
    rows = []
    for user in range(users):
        own = np.arange(user % len(TOPICS), count, len(TOPICS))
        for step, item in enumerate(random.permutation(own)[:9]):
            rows.append((f"user {user:02}", known[item], float(random.integers(4, 6)), 1_000.0 * step))
    return TopicWorld(
        _frame(rows),
        topic,
        {item_id: _described(topic[item_id], told_by, random) for item_id in topic},
        {item_id: _picture(TOPICS[topic[item_id]][2], random) for item_id in topic if "picture" in told_by},
        known,
        newcomers,
    )


def _described(topic: int, told_by: Sequence[str], random: np.random.Generator) -> dict[str, Any]:
    name, words, _ = TOPICS[topic]
    told = random.choice(words.split(), 3, replace=False).tolist() if "words" in told_by else []
    text = random.permutation([*told, *random.choice(NOISE, 4)]).tolist()
    shown = {"categories": [name, str(random.choice(["dvd", "vhs"]))]} if "categories" in told_by else {}
    return {"title": f"{random.choice(NOISE)} {random.choice(NOISE)}", "description": " ".join(text), **shown}


def _picture(colour: tuple[int, int, int], random: np.random.Generator) -> bytes:
    pixels = np.clip(random.normal(colour, 30, (36, 24, 3)), 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def _frame(rows: list[tuple[str, str, float, float]]) -> pl.DataFrame:
    numbered = [(user, item, "rating", value, time, row) for row, (user, item, value, time) in enumerate(rows, 2)]
    return pl.DataFrame(numbered, SCHEMA, orient="row")
