"""FAISS reads an index only if all that it would believe is right: sizes, levels and links."""

from __future__ import annotations

from pathlib import Path

import faiss
import numpy as np
import pytest

from engine.errors import BundleError
from engine.index import VectorIndex

ROWS, WIDTH = 200, 8
HEADER, CHANCES, ROOM = 37, 8 + 6 * 8, 8 + 7 * 4
LEVELS = HEADER + CHANCES + ROOM
OFFSETS = LEVELS + 8 + ROWS * 4
LINKS = OFFSETS + 8 + (ROWS + 1) * 8
VECTORS = np.random.default_rng(0).normal(size=(ROWS, WIDTH)).astype(np.float32)


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    VectorIndex.build(VECTORS, exact_up_to=10).save(tmp_path / "graph.faiss")
    return tmp_path / "graph.faiss"


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    VectorIndex.build(VECTORS).save(tmp_path / "flat.faiss")
    return tmp_path / "flat.faiss"


def put(path: Path, position: int, value: int, dtype: str = "<i4") -> None:
    content = bytearray(path.read_bytes())
    encoded = np.array([value]).astype(dtype).tobytes()
    content[position : position + len(encoded)] = encoded
    path.write_bytes(content)


def test_what_was_saved_opens(graph: Path, flat: Path) -> None:
    assert [VectorIndex.open(path, ROWS, WIDTH).kind for path in (graph, flat)] == ["hnsw", "flat"]


@pytest.mark.parametrize(("rows", "width"), [(ROWS + 1, WIDTH), (ROWS - 1, WIDTH), (ROWS, WIDTH + 1), (0, WIDTH)])
def test_an_index_of_another_size_is_named(graph: Path, flat: Path, rows: int, width: int) -> None:
    for path in (graph, flat):
        with pytest.raises(BundleError, match=rf"{path.name}: FAISS must not read the index: rows, width"):
            VectorIndex.open(path, rows, width)


@pytest.mark.parametrize("description", ["IVF4,Flat", "SQ8", "PCA4,Flat", "HNSW16", "HNSW32,SQ8", "NSG16"])
def test_another_kind_of_index_is_not_read(tmp_path: Path, description: str) -> None:
    index = faiss.index_factory(WIDTH, description, faiss.METRIC_INNER_PRODUCT)
    index.train(VECTORS)
    index.add(VECTORS)
    faiss.write_index(index, str(tmp_path / "other.faiss"))
    with pytest.raises(BundleError, match=r"other\.faiss: FAISS must not read"):
        VectorIndex.open(tmp_path / "other.faiss", ROWS, WIDTH)


@pytest.mark.parametrize("count", [ROWS * WIDTH - 1, ROWS * WIDTH + 1, 2**40, 2**61, 2**63 - 1])
def test_no_more_numbers_are_taken_than_there_are(flat: Path, count: int) -> None:
    put(flat, HEADER, count, "<u8")
    with pytest.raises(BundleError, match=r"flat\.faiss"):
        VectorIndex.open(flat, ROWS, WIDTH)


@pytest.mark.parametrize(
    ("position", "value", "words"),
    [
        (HEADER, 2**61, "it ends before"),
        (HEADER + 12, 0x3FE00000, "its levels are not"),
        (HEADER + CHANCES + 8 + 4, 65, "its levels are not"),
        (LEVELS, 2**62, "it ends before"),
        (LEVELS + 8, 0, "a level is not within"),
        (LEVELS + 8, 7, "a level is not within"),
        (LEVELS + 8, 2, "do not fit"),
        (OFFSETS + 8 + 8, 2**40, "do not fit"),
        (LINKS + 8, ROWS, "it links rows"),
        (LINKS + 8, -2, "it links rows"),
        (LINKS + 8, 2**31 - 1, "it links rows"),
    ],
)
def test_a_crafted_graph_is_not_walked(graph: Path, position: int, value: int, words: str) -> None:
    is_wide = value >= 2**31 or position == OFFSETS + 16
    put(graph, position, value, "<u8" if is_wide else "<i4")
    with pytest.raises(BundleError, match=rf"graph\.faiss.*{words}"):
        VectorIndex.open(graph, ROWS, WIDTH)


def test_links_stay_on_levels_that_their_targets_have(graph: Path) -> None:
    content = graph.read_bytes()
    levels = np.frombuffer(content, "<i4", ROWS, LEVELS + 8)
    offsets = np.frombuffer(content, "<u8", ROWS + 1, OFFSETS + 8)
    above, below = int(np.flatnonzero(levels > 1)[0]), int(np.flatnonzero(levels == 1)[0])
    put(graph, LINKS + 8 + 4 * (int(offsets[above]) + 64), below)
    with pytest.raises(BundleError, match="leads to a row that is not on it"):
        VectorIndex.open(graph, ROWS, WIDTH)


@pytest.mark.parametrize(("entry", "top"), [(ROWS, 0), (-1, -1), (2**31 - 1, 1), (0, 40)])
def test_a_search_begins_at_a_row_that_is_there(graph: Path, entry: int, top: int) -> None:
    links = int(np.frombuffer(graph.read_bytes(), "<u8", 1, LINKS)[0])
    put(graph, LINKS + 8 + 4 * links, entry)
    put(graph, LINKS + 8 + 4 * links + 4, top)
    with pytest.raises(BundleError, match="it begins at row"):
        VectorIndex.open(graph, ROWS, WIDTH)


def test_nothing_may_follow(graph: Path, flat: Path) -> None:
    for path in (graph, flat):
        path.write_bytes(path.read_bytes() + b"\0")
        with pytest.raises(BundleError, match="more behind its end"):
            VectorIndex.open(path, ROWS, WIDTH)
