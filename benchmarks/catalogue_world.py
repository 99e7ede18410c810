"""A bundle of any number of items without training: ids, metadata, popularity and vectors as a shop has them.

    python benchmarks/catalogue_world.py FOLDER --items 1000000 [--index] [--neighbours 20] [--seed 1]

Ids are ten letters and digits; metadata is some 90 bytes of title, year and categories; popularity follows Zipf's law;
vectors are 64 wide, around 1,000 centres. The network is a self-attention encoder with random weights, exported as
training does. Without --index the candidates are those of a neighbour table, and its vectors serve ratings alone.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).parents[1]))
from engine.bundle import Bundle
from engine.encoded_network import EncodedNetwork
from engine.events import Event, History
from engine.index import VectorIndex
from engine.item_vectors import ItemVectors
from engine.items import ItemTable
from engine.manifest import DataSection, Manifest, RankerSection, RatingSection, SourceSection
from engine.neighbours import NeighbourTable
from engine.packed_texts import PackedTexts
from engine.probe import Probe
from engine.vocabulary import Vocabulary
from engine.window import HistoryWindow
from models import SASRec
from models.ncf import NCF
from training.export import export_encoder, export_ranker

WIDTH, CENTRES, LOT = 64, 1_000, 1 << 18
EVENTS_AN_ITEM = 100
PROBED, EVENTS = 48, 50
LETTERS = np.frombuffer(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", np.uint8)
# Odd, so that no number below 36^9 comes twice.
STEP, ROOM = 48_271_000_000_013, 36**9
WORDS = [
    "the",
    "of",
    "a",
    "last",
    "red",
    "night",
    "house",
    "song",
    "my",
    "little",
    "great",
    "star",
    "dog",
    "war",
    "king",
    "blue",
    "city",
    "girl",
    "road",
    "life",
]
GENRES = [
    "Action",
    "Comedy",
    "Crime",
    "Drama",
    "Fantasy",
    "Horror",
    "Music",
    "Romance",
    "Science",
    "Sport",
    "Thriller",
    "Western",
]
Floats = npt.NDArray[np.float32]


def make(
    folder: Path, items: int, *, has_index: bool = False, has_ranker: bool = False, neighbours: int = 20, seed: int = 1
) -> Bundle:
    """Write a bundle of so many items, and return it as it opens."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        bundle = _bundle(Path(scratch), items, has_index, neighbours, np.random.default_rng(seed))
        if has_ranker:
            bundle = _reranked(bundle)
        return bundle.save(folder)


def histories(vocabulary: Vocabulary, popularity: Floats, count: int, random: np.random.Generator) -> list[History]:
    """Return histories of EVENTS events each, of items as popular as they are."""
    bounds = np.cumsum(popularity, dtype=np.float64)
    rows = np.searchsorted(bounds, random.random((count, EVENTS)) * bounds[-1])
    return [History.of(tuple(_events(vocabulary, user, own))) for user, own in enumerate(rows.tolist())]


def _events(vocabulary: Vocabulary, user: int, rows: list[int]) -> Iterator[Event]:
    for step, row in enumerate(rows):
        yield Event(f"user {user}", vocabulary.id_of(row), "rating", float(1 + (row + step) % 5), 1_000.0 * step)


def _bundle(scratch: Path, count: int, has_index: bool, neighbours: int, random: np.random.Generator) -> Bundle:
    vocabulary = Vocabulary(_ids(count))
    columns = _columns(count, random)
    described = PackedTexts.of(_described(count, random))
    tables = {"item_knn": _neighbours(scratch, count, neighbours, random)}
    items = ItemTable(vocabulary, columns, described, tables)
    encoded = {"sasrec" if has_index else "ratings": _network(scratch, count, has_index, random)}
    manifest = _manifest(vocabulary, columns, has_index)
    bundle = Bundle(manifest, items, encoded, None, Probe(()))
    asked = histories(vocabulary, columns["popularity"], PROBED, random)
    recommender = bundle.recommender()
    probe = Probe.record(recommender, [*asked, History()])
    return Bundle(manifest, items, encoded, None, probe)


def _reranked(bundle: Bundle) -> Bundle:
    """Return the bundle with an NCF behind its source, with random weights and the features that training gives it."""
    features = ["retrieval_score", "retrieval_rank", "popularity", "recency", "item_knn", "item_knn_10"]
    network = NCF(WIDTH + 1, len(features))
    section = RankerSection(model="ncf", config={}, features=features)
    manifest = bundle.manifest.model_copy(update={"ranker": section})
    ranked = replace(bundle, manifest=manifest, ranker=export_ranker(network, WIDTH + 1, len(features)))
    asked = histories(bundle.items.vocabulary, bundle.items.columns["popularity"], PROBED, np.random.default_rng(2))
    return replace(ranked, probe=Probe.record(ranked.recommender(), [*asked, History()]))


def _ids(count: int) -> Iterator[str]:
    for start in range(0, count, LOT):
        numbers = np.arange(start, min(start + LOT, count), dtype=object) * STEP % ROOM
        digits = numbers[:, None].astype(np.int64) // 36 ** np.arange(8, -1, -1) % 36
        for row in LETTERS[digits]:
            yield "B" + row.tobytes().decode()


def _described(count: int, random: np.random.Generator) -> Iterator[bytes]:
    for start in range(0, count, LOT):
        size = min(LOT, count - start)
        words = random.integers(len(WORDS), size=(size, 4)).tolist()
        years = random.integers(1920, 2027, size).tolist()
        genres = random.integers(len(GENRES), size=(size, 2)).tolist()
        for number, (four, year, two) in enumerate(zip(words, years, genres, strict=True), start):
            title = " ".join(WORDS[word] for word in four)
            categories = sorted({GENRES[genre] for genre in two})
            document = {"title": f"{title} {number}", "year": year, "categories": categories}
            yield json.dumps(document, separators=(",", ":")).encode()


def _columns(count: int, random: np.random.Generator) -> dict[str, Floats]:
    shares = 1.0 / np.arange(1, count + 1)
    popularity = np.floor(shares / shares.sum() * EVENTS_AN_ITEM * count).astype(np.float32) + 1
    random.shuffle(popularity)
    staleness = random.exponential(200, count).astype(np.float32)
    return {
        "popularity": popularity,
        "rating_bias": random.normal(0, 0.3, count).astype(np.float32),
        "staleness": staleness,
    }


def _neighbours(scratch: Path, count: int, width: int, random: np.random.Generator) -> NeighbourTable:
    indices = np.lib.format.open_memmap(scratch / "indices.npy", "w+", np.int32, (count + 1, width))
    weights = np.lib.format.open_memmap(scratch / "weights.npy", "w+", np.float32, (count + 1, width))
    for start in range(0, count, LOT):
        size = min(LOT, count - start)
        indices[start : start + size] = (random.random((size, width)) ** 3 * count).astype(np.int32)
        weights[start : start + size] = -np.sort(-random.random((size, width), dtype=np.float32), axis=1)
    return NeighbourTable(indices, weights)


def _network(scratch: Path, count: int, has_index: bool, random: np.random.Generator) -> EncodedNetwork:
    inputs = np.lib.format.open_memmap(scratch / "inputs.npy", "w+", np.float32, (count + 1, WIDTH))
    outputs = np.lib.format.open_memmap(scratch / "outputs.npy", "w+", np.float32, (count, WIDTH + 1))
    centres = random.normal(0, 0.3, (CENTRES, WIDTH)).astype(np.float32)
    for start in range(0, count, LOT):
        size = min(LOT, count - start)
        own = random.normal(0, 0.1, (size, WIDTH)).astype(np.float32) + centres[random.integers(CENTRES, size=size)]
        inputs[start : start + size] = outputs[start : start + size, :WIDTH] = own
    index = VectorIndex.build(outputs) if has_index else None
    return EncodedNetwork(export_encoder(SASRec(100, WIDTH)), ItemVectors(inputs, outputs), index)


def _manifest(vocabulary: Vocabulary, columns: Mapping[str, Floats], has_index: bool) -> Manifest:
    name, kind = ("sasrec", "network") if has_index else ("item_knn", "neighbours")
    ratings = RatingSection(mean=3.5, shrinkage=5.0, model="bias" if has_index else "sasrec", max_length=EVENTS)
    return Manifest(
        created_at="2026-01-01T00:00:00+00:00",
        liverec_version=metadata.version("liverec"),
        git_revision="unknown",
        libraries={},
        seed=1,
        window=HistoryWindow(max_length=EVENTS, rating_scale=(1.0, 5.0)),
        data=DataSection(
            name="catalogue",
            protocol="none",
            events=int(columns["popularity"].sum(dtype=np.float64)),
            users=1,
            items=len(vocabulary),
            digest="",
            cleaning={},
        ),
        sources=[SourceSection(name=name, model=name, kind=kind, config={})],
        ranker=None,
        ratings=ratings,
        vocabulary_digest=vocabulary.digest(),
        item_columns=sorted(columns),
        neighbour_tables=["item_knn"],
        metrics={},
        run_digest="",
        files={},
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--index", action="store_true")
    parser.add_argument("--neighbours", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    made = make(
        options.folder, options.items, has_index=options.index, neighbours=options.neighbours, seed=options.seed
    )
    size = sum(file.bytes for file in made.manifest.files.values())
    print(f"{options.folder}: {len(made.items):,} items, {size:,} bytes")


if __name__ == "__main__":
    main()
