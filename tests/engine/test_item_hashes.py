"""Items by the hashes of their ids: made once however many threads make them, and for rows that came since."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest

from engine.item_hashes import LOT, ItemHashes
from engine.items import ItemTable
from engine.live_item import LiveItem
from engine.vocabulary import Vocabulary

COUNT, THREADS = LOT + 5_000, 8
IDS = [f"item {number}" for number in range(COUNT)]


def hash_of(item_id: str) -> int:
    return zlib.crc32(item_id.encode())


def table(ids: list[str]) -> ItemTable:
    return ItemTable(Vocabulary(ids), {"popularity": np.zeros(len(ids), np.float32)})


@pytest.fixture
def many_switches() -> Iterator[None]:
    """Threads that take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("many_switches")
def test_many_threads_make_the_hashes_once() -> None:
    items, begin = table(IDS), Barrier(THREADS)
    hashes = ItemHashes(items, hash_of)
    assert not hashes.is_built

    def make(thread: int) -> frozenset[str]:
        begin.wait()
        if thread % 2:
            hashes.build()
        return hashes.item_ids([hash_of(IDS[thread])])

    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(make, range(THREADS)))
    assert hashes.is_built
    assert hashes._hashes.tolist() == [*map(hash_of, IDS), 0]
    assert [IDS[thread] in each for thread, each in enumerate(found)] == [True] * THREADS


def test_rows_that_come_later_are_found_without_making_all_again() -> None:
    items, asked = table(IDS), list[str]()

    def noted(item_id: str) -> int:
        asked.append(item_id)
        return hash_of(item_id)

    hashes = ItemHashes(items, noted)
    hashes.build()
    assert asked == IDS
    for name in ("new one", "new two"):
        items.append(LiveItem(name), is_readable=False)
        assert hashes.is_built
        assert name in hashes.item_ids([hash_of(name), hash_of("nobody's")])
    assert asked[COUNT:] == ["new one", "new two"]
    assert {"new one", "item 7"} <= hashes.item_ids([hash_of("new one"), hash_of("item 7")])


def test_the_padding_row_is_never_found() -> None:
    items = table(["a", "b", "c"])
    items.append(LiveItem("new"), is_readable=False)
    assert ItemHashes(items, hash_of).item_ids([0]) == frozenset()
    # Where ids do have its hash, they are found and it is not.
    assert ItemHashes(items, lambda _: 0).item_ids([0]) == {"a", "b", "c", "new"}


def test_of_nothing_nothing_is_found() -> None:
    assert ItemHashes(table(["a", "b"]), hash_of).item_ids([]) == frozenset()
