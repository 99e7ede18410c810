"""Worlds with a known answer, generated from a seed."""

from __future__ import annotations

import numpy as np
import polars as pl

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


def _frame(rows: list[tuple[str, str, float, float]]) -> pl.DataFrame:
    numbered = [(user, item, "rating", value, time, row) for row, (user, item, value, time) in enumerate(rows, 2)]
    return pl.DataFrame(numbered, SCHEMA, orient="row")
