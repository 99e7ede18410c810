"""A search over what is indexed and what came since, while a copy of the index takes it in."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.index import VectorIndex
from engine.index_build import IndexBuild
from engine.index_merge import IndexMerge
from engine.index_plan import IndexPlan
from engine.index_settings import IndexKind
from engine.inverted_index import InvertedIndex
from engine.row_set import RowSet
from engine.side_index import LiveIndex

WIDTH, BASE = 6, 40
FIRST_LIVE = BASE + 1


def vectors_of(ids: np.ndarray) -> np.ndarray:
    return np.stack([np.random.default_rng((3, int(each))).normal(size=WIDTH) for each in ids]).astype(np.float32)


def built(kind: IndexKind) -> InvertedIndex:
    """An index that looks at all of its lists, and so finds everything."""
    table = vectors_of(np.arange(BASE))
    index = IndexBuild(table, IndexPlan.of(BASE, WIDTH, kind=kind)).run()
    assert isinstance(index, InvertedIndex)
    return index


QUERIES = np.random.default_rng(0).normal(size=(3, WIDTH)).astype(np.float32)


class World:
    """A live index whose merges wait until they are told to go on, and the plain truth beside it."""

    def __init__(self, merge_at: int = 5, exact_up_to: int = 10_000, kind: IndexKind | None = None) -> None:
        base = np.arange(BASE)
        self.waiting: list[IndexMerge] = []
        main = VectorIndex.build(vectors_of(base), exact_up_to) if kind is None else built(kind)
        self.index = LiveIndex(main, merge_at, self.waiting.append)
        self.forbidden = RowSet()
        self.there = set(base.tolist())
        self.ever = FIRST_LIVE

    def add(self, count: int) -> None:
        ids = np.arange(self.ever, self.ever + count)
        self.index.add(ids, vectors_of(ids))
        self.there |= set(ids.tolist())
        self.ever += count

    def hide(self, item: int) -> None:
        self.forbidden.set(item, True)
        self.there.discard(item)

    def remove(self, item: int) -> None:
        self.hide(item)
        if item >= FIRST_LIVE:
            self.index.forget(item)

    def finish(self) -> None:
        for merge in self.waiting:
            merge.run()
        self.waiting.clear()

    def best(self, k: int) -> list[list[int]]:
        ids = np.array(sorted(self.there), dtype=np.int64)
        order = np.argsort(-(QUERIES @ vectors_of(ids).T), axis=1)[:, :k] if len(ids) else np.empty((3, 0), int)
        return ids[order].tolist()

    def found(self, k: int) -> list[list[int]]:
        indices, scores = self.index.search(QUERIES, k, self.forbidden)
        assert indices.shape == scores.shape == (3, min(k, len(self.index)))
        for row, each in enumerate(indices):
            real = each >= 0
            # Where there are fewer than wanted, -1 stands at the end.
            assert (np.sort(~real) == ~real).all()
            assert (np.diff(scores[row][real]) <= 0).all()
            np.testing.assert_allclose(scores[row][real], vectors_of(each[real]) @ QUERIES[row], atol=1e-5)
        return [[index for index in row if index >= 0] for row in indices.tolist()]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(1, 4)),
        st.tuples(st.sampled_from(["hide", "remove"]), st.integers(0, BASE + 30)),
        st.tuples(st.just("finish"), st.just(0)),
    ),
    max_size=25,
)


@settings(max_examples=150, deadline=None)
@given(steps=STEPS, k=st.integers(1, 90))
def test_nothing_is_missing_or_found_twice_whatever_happens_meanwhile(steps: list, k: int) -> None:
    world = World()
    for action, number in steps:
        if action in {"hide", "remove"} and number not in world.there:
            continue
        getattr(world, action)(*([number] if action != "finish" else []))
        assert world.found(k) == world.best(k)
    world.finish()
    assert world.found(k) == world.best(k)


def test_a_merge_takes_what_was_there_when_it_began() -> None:
    world = World(merge_at=5)
    world.add(4)
    assert not world.index.is_merging
    world.add(2)
    assert world.index.is_merging
    world.add(3)
    world.remove(FIRST_LIVE)
    world.remove(FIRST_LIVE + 7)
    assert world.found(99) == world.best(99)
    world.finish()
    assert world.found(99) == world.best(99)
    assert not world.index.is_merging
    assert len(world.index) == BASE + 9


@pytest.mark.parametrize("kind", ["ivf", "ivfpq"])
def test_lists_stay_as_they_are_while_what_came_grows_beside_them(kind: IndexKind) -> None:
    world = World(merge_at=5, kind=kind)
    lists = world.index._main._index
    for _ in range(3):
        world.add(7)
        world.remove(world.ever - 3)
        world.finish()
        assert world.found(12) == world.best(12)
    assert world.index._main._index is lists
    assert len(world.index._main) > BASE
    assert {each for row in world.found(99) for each in row} == world.there


def test_dead_rows_are_not_taken_along() -> None:
    world = World(merge_at=5)
    world.add(4)
    world.remove(FIRST_LIVE)
    world.remove(FIRST_LIVE + 1)
    world.add(1)
    world.finish()
    assert world.found(99) == world.best(99)
    assert len(world.index) == BASE + 3


def test_a_merge_that_fails_leaves_all_as_it_was_and_is_tried_again_later() -> None:
    world = World(merge_at=5)
    world.add(5)
    world.waiting.pop()._over.set()
    assert world.found(99) == world.best(99)
    world.add(4)
    assert not world.waiting
    world.add(1)
    assert len(world.waiting) == 1
    world.finish()
    assert world.found(99) == world.best(99)


def test_a_flat_index_that_grows_large_becomes_a_graph() -> None:
    world = World(merge_at=30, exact_up_to=50)
    for _ in range(3):
        world.add(30)
        world.finish()
        world.found(10)
    assert world.index._main.kind == "hnsw"
    for item in (3, 44, 120):
        world.remove(item)
    recalled = [len(set(a) & set(b)) / 20 for a, b in zip(world.found(20), world.best(20), strict=True)]
    assert min(recalled) >= 0.9
    world.add(7)
    assert {each for row in world.found(140) for each in row} == world.there


@pytest.mark.parametrize("hidden", [0, 30, 150, 158])
def test_a_graph_finds_all_that_is_left(hidden: int) -> None:
    world = World(merge_at=120, exact_up_to=50)
    world.add(120)
    world.finish()
    for item in sorted(world.there)[:hidden]:
        world.hide(item)
    left = world.best(8)
    recalled = [len(set(a) & set(b)) / len(b) for a, b in zip(world.found(8), left, strict=True)]
    assert min(recalled) >= 0.85
    assert all(len(row) == min(8, 160 - hidden) for row in world.found(8))


def test_the_main_thread_searches_while_another_merges() -> None:
    base = np.random.default_rng(1).normal(size=(4_000, 16)).astype(np.float32)
    index = LiveIndex(VectorIndex.build(base, exact_up_to=1_000), merge_at=500)
    more = np.random.default_rng(2).normal(size=(3_000, 16)).astype(np.float32)
    merged = 0
    for start in range(0, 3_000, 50):
        was_merging = index.is_merging
        index.add(np.arange(4_001 + start, 4_051 + start), more[start : start + 50])
        indices, _ = index.search(more[start : start + 50] * 9, 5)
        assert (indices >= 0).all()
        assert all(len(set(row)) == 5 for row in indices.tolist())
        merged += was_merging and not index.is_merging
    deadline = time.monotonic() + 60
    while index.is_merging and time.monotonic() < deadline:
        time.sleep(0.01)
        index.search(more[:1], 5)
    assert len(index) == 7_000
    assert len(index._main) > 4_000
    assert not [each for each in threading.enumerate() if each.name == "index merge"]


def test_a_process_ends_at_once_in_the_middle_of_a_merge() -> None:
    code = (
        "import numpy as np\n"
        "from engine.index import VectorIndex\n"
        "from engine.side_index import LiveIndex\n"
        "vectors = np.random.default_rng(0).normal(size=(30_000, 64)).astype(np.float32)\n"
        "index = LiveIndex(VectorIndex.build(vectors[:1_000], 1_000), merge_at=10)\n"
        "index.add(np.arange(1_001, 30_001), vectors[1_000:])\n"
        "assert index.is_merging\n"
    )
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    assert time.monotonic() - began < 15
