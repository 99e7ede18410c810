"""FAISS reads lists only if all that it would believe is right: sizes, kinds, and each row in one list."""

from __future__ import annotations

from pathlib import Path

import faiss
import numpy as np
import pytest

from engine.errors import BundleError
from engine.index_build import IndexBuild
from engine.index_plan import IndexPlan
from engine.index_settings import IndexKind
from engine.inverted_index import InvertedIndex
from engine.opened_index import opened_index

ROWS, WIDTH, LISTS = 500, 16, 32
"""The width is that of a code: a number more than a vector has."""
VECTORS = np.random.default_rng(0).normal(size=(ROWS, WIDTH - 1)).astype(np.float32)
KINDS: tuple[IndexKind, ...] = ("ivf", "ivfpq")
HEADER, COUNT = 37, 8
QUANTIZER = HEADER + 16
DIRECT_MAP = QUANTIZER + HEADER + COUNT + 4 * LISTS * WIDTH
CODES = DIRECT_MAP + 9
BYTE_LISTS = CODES + 4 * 3 + 8 * 2 + COUNT + 4 * 2 * WIDTH + 9
FIRST_SIZE = BYTE_LISTS + 4 + 16 + 4 + COUNT
BLOCKS = CODES + 33 + 24 + COUNT + 4 * 16 * WIDTH
FIRST_BLOCK = BLOCKS + 4 + 32


@pytest.fixture(scope="module")
def built() -> dict[IndexKind, InvertedIndex]:
    indexes = {}
    for kind in KINDS:
        index = IndexBuild(VECTORS, IndexPlan.of(ROWS, WIDTH - 1, kind=kind)).run()
        assert isinstance(index, InvertedIndex)
        assert (index.lists, index.code_width) == (LISTS, WIDTH)
        indexes[kind] = index
    return indexes


class Saved:
    """An index in a file, and how it is opened."""

    def __init__(self, index: InvertedIndex, path: Path) -> None:
        self.index, self.path = index, path
        index.save(path)

    def put(self, position: int, value: int, dtype: str) -> None:
        content = bytearray(self.path.read_bytes())
        encoded = np.array([value]).astype(dtype).tobytes()
        content[position : position + len(encoded)] = encoded
        self.path.write_bytes(content)

    def number(self, position: int) -> int:
        return int(np.frombuffer(self.path.read_bytes(), "<u8", 1, position)[0])

    def open(self, rows: int = ROWS) -> object:
        return opened_index(self.path, VECTORS[:rows], self.index.settings, self.index.query_map)


@pytest.fixture
def lists(built: dict[IndexKind, InvertedIndex], tmp_path: Path) -> Saved:
    return Saved(built["ivf"], tmp_path / "lists.faiss")


@pytest.fixture
def blocks(built: dict[IndexKind, InvertedIndex], tmp_path: Path) -> Saved:
    return Saved(built["ivfpq"], tmp_path / "blocks.faiss")


def test_what_was_saved_opens(lists: Saved, blocks: Saved) -> None:
    for saved in (lists, blocks):
        assert isinstance(saved.open(), InvertedIndex)


def test_most_lists_may_be_empty(tmp_path: Path) -> None:
    few = np.repeat(VECTORS[:3], 40, axis=0)
    index = IndexBuild(few, IndexPlan.of(*few.shape, kind="ivf")).run()
    assert isinstance(index, InvertedIndex)
    index.save(tmp_path / "few.faiss")
    again = opened_index(tmp_path / "few.faiss", few, index.settings, index.query_map)
    assert (again.search(VECTORS[:1], 200)[0] >= 0).sum() == 120


def test_an_index_of_other_rows_or_another_kind_is_not_read(lists: Saved, blocks: Saved) -> None:
    for saved, other in ((lists, blocks), (blocks, lists)):
        with pytest.raises(BundleError, match="rows, width"):
            saved.open(ROWS - 1)
        with pytest.raises(BundleError, match="of the kind"):
            opened_index(saved.path, VECTORS, other.index.settings, saved.index.query_map)
        with pytest.raises(BundleError, match="rows, width"):
            opened_index(saved.path, VECTORS, saved.index.settings, saved.index.query_map[:, 1:])


@pytest.mark.parametrize("description", ["IVF4,Flat", "IVF4,SQ4", "IVF4,SQ8", "IVF4,PQ4x4", "IVF4,PQ8x4fs", "Flat"])
def test_indexes_that_are_not_made_here_are_not_read(lists: Saved, blocks: Saved, description: str) -> None:
    index = faiss.index_factory(WIDTH, description, faiss.METRIC_INNER_PRODUCT)
    wide = np.pad(VECTORS, ((0, 0), (0, 1)))
    index.train(wide)
    index.add(wide)
    for saved in (lists, blocks):
        faiss.write_index(index, str(saved.path))
        with pytest.raises(BundleError, match=r"faiss: FAISS must not read"):
            saved.open()


@pytest.mark.parametrize(
    ("position", "value", "dtype", "words"),
    [
        (HEADER, 0, "<u8", "lists"),
        (HEADER, 2**40, "<u8", "lists"),
        (HEADER, LISTS - 1, "<u8", "rows, width"),
        (HEADER + 8, LISTS + 1, "<u8", "lists"),
        (QUANTIZER + HEADER, 2**61, "<u8", "it ends before"),
        (DIRECT_MAP, 1, "u1", "where rows are"),
        (DIRECT_MAP + 1, 2**40, "<u8", "where rows are"),
        (CODES, 4, "<i4", "kind and range"),
        (CODES + 12, WIDTH + 1, "<u8", "width and size"),
        (CODES + 28, 2**61, "<u8", "it ends before"),
        (CODES + 28, WIDTH, "<u8", "ranges"),
        (BYTE_LISTS - 1, 1, "u1", "what they are of"),
        (BYTE_LISTS, 0, "u1", "kind of its lists"),
        (BYTE_LISTS + 4, LISTS + 1, "<u8", "lists and size"),
        (BYTE_LISTS + 12, WIDTH + 1, "<u8", "lists and size"),
        (FIRST_SIZE - COUNT, 2**61, "<u8", "it ends before"),
        (FIRST_SIZE, 2**62, "<u8", "sizes of its lists"),
        (FIRST_SIZE, ROWS, "<u8", "sizes of its lists"),
    ],
)
def test_crafted_lists_are_not_searched(lists: Saved, position: int, value: int, dtype: str, words: str) -> None:
    lists.put(position, value, dtype)
    with pytest.raises(BundleError, match=rf"lists\.faiss.*{words}"):
        lists.open()


@pytest.mark.parametrize(
    ("position", "value", "dtype", "words"),
    [
        (CODES, 0, "u1", "what its codes are of"),
        (CODES + 1, 2**40, "<u8", "sizes of its codes"),
        (CODES + 9, 0, "<i4", "sizes of its codes"),
        (CODES + 13, WIDTH + 2, "<u8", "sizes of its codes"),
        (CODES + 21, 14, "<i4", "ways to search"),
        (CODES + 25, 1, "<u8", "ways to search"),
        (CODES + 33 + 8, 1, "<u8", "products"),
        (CODES + 33 + 16, 8, "<u8", "products"),
        (CODES + 33 + 24, 2**61, "<u8", "it ends before"),
        (BLOCKS, 0, "u1", "kind of its lists"),
        (BLOCKS + 4, LISTS + 1, "<u8", "blocks"),
        (BLOCKS + 20, 64, "<u8", "blocks"),
        (BLOCKS + 28, 1, "<u8", "blocks"),
        (FIRST_BLOCK, 2**61, "<u8", "it ends before"),
        (FIRST_BLOCK, 0, "<u8", ""),
    ],
)
def test_crafted_blocks_are_not_searched(blocks: Saved, position: int, value: int, dtype: str, words: str) -> None:
    blocks.put(position, value, dtype)
    with pytest.raises(BundleError, match=rf"blocks\.faiss.*{words}"):
        blocks.open()


@pytest.mark.parametrize("row", [-1, ROWS, 2**40, -(2**63)])
def test_a_list_names_rows_that_are_there(lists: Saved, blocks: Saved, row: int) -> None:
    first = FIRST_SIZE + 8 * LISTS + lists.number(FIRST_SIZE) * WIDTH
    for saved, position in ((lists, first), (blocks, FIRST_BLOCK + COUNT)):
        saved.put(position, row, "<i8")
        with pytest.raises(BundleError, match="a list has rows"):
            saved.open()


def test_no_row_is_in_two_places(lists: Saved, blocks: Saved) -> None:
    first = FIRST_SIZE + 8 * LISTS + lists.number(FIRST_SIZE) * WIDTH
    for saved, position in ((lists, first), (blocks, FIRST_BLOCK + COUNT)):
        saved.put(position, (saved.number(position) + 1) % ROWS, "<i8")
        with pytest.raises(BundleError, match=r"in two lists|have \d+ rows"):
            saved.open()


def test_nothing_may_follow_and_nothing_may_lack(lists: Saved, blocks: Saved) -> None:
    for saved in (lists, blocks):
        content = saved.path.read_bytes()
        saved.path.write_bytes(content + b"\0")
        with pytest.raises(BundleError, match="more behind its end"):
            saved.open()
        for size in (0, 30, HEADER + 3, len(content) // 2, len(content) - 1):
            saved.path.write_bytes(content[:size])
            with pytest.raises(BundleError, match=saved.path.name):
                saved.open()


def test_a_map_of_queries_has_numbers(lists: Saved) -> None:
    query_map = lists.index.query_map.copy()
    query_map[0, 0] = np.nan
    with pytest.raises(BundleError, match="map of queries"):
        opened_index(lists.path, VECTORS, lists.index.settings, query_map)
