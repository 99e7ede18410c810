"""The files of a bundle become what it is made of."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.bundle_folder import BundleFolder
from engine.bundle_layout import (
    COLUMNS,
    ENCODER,
    ID_OFFSETS,
    ID_ROWS,
    ID_STARTS,
    IDS,
    INDEX,
    INPUT_VECTORS,
    METADATA,
    MOST_ID_BYTES,
    NEIGHBOUR_WEIGHTS,
    NEIGHBOURS,
    OUTPUT_VECTORS,
    POPULAR_ORDER,
    PROBE,
    RATINGS,
    REFINER,
    has_refiner,
    networks,
    source_networks,
)
from engine.bundled_content import BundledContent
from engine.encoded_network import EncodedNetwork
from engine.errors import BundleError
from engine.id_lookup import IdLookup, bucket_count
from engine.index import VectorIndex
from engine.item_vectors import ItemVectors
from engine.items import ItemTable
from engine.neighbours import NeighbourTable
from engine.popular_order import check_order
from engine.probe import Probe
from engine.unreadable import named, unreadable
from engine.vocabulary import Vocabulary


def read_items(files: BundleFolder) -> ItemTable:
    """Map all that is known of the items."""
    manifest, count = files.manifest, files.manifest.data.items
    rows = files.array(COLUMNS, len(manifest.item_columns), count)
    columns = dict(zip(manifest.item_columns, rows, strict=True))
    with unreadable(files.path / METADATA):
        return ItemTable(
            _vocabulary(files, count),
            columns,
            files.metadata(count),
            {name: _neighbours(files, name, count) for name in manifest.neighbour_tables},
            _popular_order(files, columns["popularity"]),
        )


def read_networks(files: BundleFolder) -> dict[str, EncodedNetwork]:
    """Read all encoders by name."""
    return {name: _network(files, name, files.manifest.data.items) for name in networks(files.manifest)}


def read_probe(files: BundleFolder) -> Probe:
    """Read what the bundle must answer."""
    with unreadable(files.path / PROBE):
        return Probe.from_json(files.read(PROBE))


def read_content(files: BundleFolder) -> BundledContent | None:
    """Read what reads items; None where items are known by their events alone."""
    content = files.manifest.content
    return None if content is None else BundledContent.read(files, content.spec, source_networks(files.manifest))


def _vocabulary(files: BundleFolder, count: int) -> Vocabulary:
    texts = files.texts(IDS, ID_OFFSETS, count, MOST_ID_BYTES)
    starts = files.numbers(ID_STARTS, bucket_count(count) + 1, np.int32)
    vocabulary = Vocabulary.mapped(texts, IdLookup(texts, starts, files.numbers(ID_ROWS, count, np.int32)))
    if not files.is_vouched:
        with named(files.path / IDS):
            texts.check_encoding()
        with named(files.path / ID_ROWS):
            vocabulary.lookup.check()
        if vocabulary.digest() != files.manifest.vocabulary_digest:
            raise BundleError(f"{files.path / IDS} has another digest than the manifest says; train again")
    return vocabulary


def _popular_order(files: BundleFolder, popularity: npt.NDArray[np.float32]) -> npt.NDArray[np.int32]:
    order: npt.NDArray[np.int32] = files.numbers(POPULAR_ORDER, len(popularity), np.int32)
    if not files.is_vouched:
        with named(files.path / POPULAR_ORDER):
            check_order(order, popularity)
    return order


def _network(files: BundleFolder, name: str, count: int) -> EncodedNetwork:
    inputs = files.array(INPUT_VECTORS.format(name), count + 1)
    outputs = files.array(OUTPUT_VECTORS.format(name), count)
    index = refiner = None
    if name != RATINGS:
        index = VectorIndex.open(files.path / INDEX.format(name), count, outputs.shape[1])
    elif has_refiner(files.manifest):
        refiner = files.read(REFINER)
    return EncodedNetwork(files.read(ENCODER.format(name)), ItemVectors(inputs, outputs), index, refiner)


def _neighbours(files: BundleFolder, name: str, count: int) -> NeighbourTable:
    indices = files.array(NEIGHBOURS.format(name), count + 1, dtype=np.int32)
    weights = files.array(NEIGHBOUR_WEIGHTS.format(name), count + 1, indices.shape[1])
    if files.is_vouched:
        return NeighbourTable(indices, weights)
    if indices.min(initial=0) < 0 or indices.max(initial=0) >= len(indices):
        raise BundleError(f"{files.path / NEIGHBOURS.format(name)} names items that are not there; train again")
    return NeighbourTable(indices, weights)
