"""Which items a worker computes again next: a few at a time, whatever waits."""

from __future__ import annotations

from collections import Counter
from typing import ClassVar

import live_world

from app.live_items import LiveItems


class Hashed(str):
    """A text that counts how often its place in a set is looked for."""

    __slots__ = ()
    times: ClassVar[Counter[str]] = Counter()

    def __hash__(self) -> int:
        Hashed.times["hash"] += 1
        return super().__hash__()


def stale(*item_ids: str) -> LiveItems:
    recommender = live_world.live_recommender()
    items = LiveItems(recommender.catalogue, recommender.items, "1")
    items.stale |= set(item_ids)
    return items


def test_each_comes_once_before_any_comes_again() -> None:
    ids = [f"item {number}" for number in range(10)]
    items = stale(*ids)
    lots = [items.stale_lot(4) for _ in range(3)]
    assert [len(lot) for lot in lots] == [4, 4, 2]
    assert sorted(item_id for lot in lots for item_id in lot) == ids
    assert len(items.stale_lot(4)) == 4
    # What was settled meanwhile is left out.
    items.stale.clear()
    assert [items.stale_lot(4) for _ in range(3)] == [[], [], []]


def test_a_lot_costs_a_lot() -> None:
    items = stale(*(Hashed(number) for number in range(10_000)))
    Hashed.times.clear()
    for _ in range(3):
        assert len(items.stale_lot(32)) == 32
    assert Hashed.times["hash"] <= 3 * 32
