"""The files of a bundle become what it is made of."""

from __future__ import annotations

from engine.bundle_folder import BundleFolder
from engine.bundle_layout import (
    ENCODER,
    INDEX,
    INPUT_VECTORS,
    OUTPUT_VECTORS,
    PROBE,
    QUERY_MAP,
    RATINGS,
    REFINER,
    has_query_map,
    has_refiner,
    networks,
    source_networks,
)
from engine.bundled_content import BundledContent
from engine.encoded_network import EncodedNetwork
from engine.item_vectors import ItemVectors
from engine.opened_index import opened_index
from engine.probe import Probe
from engine.search_index import SearchIndex
from engine.unreadable import unreadable
from engine.vector_table import STORED, CompactTable, Table


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


def _network(files: BundleFolder, name: str, count: int) -> EncodedNetwork:
    dtype = STORED[files.manifest.vector_types.get(name, "float32")]
    inputs = CompactTable.opened(files.array(INPUT_VECTORS.format(name), count + 1, dtype=dtype))
    outputs = CompactTable.opened(files.array(OUTPUT_VECTORS.format(name), count, dtype=dtype))
    index = refiner = None
    if name != RATINGS:
        index = _index(files, name, outputs)
    elif has_refiner(files.manifest):
        refiner = files.read(REFINER)
    return EncodedNetwork(files.read(ENCODER.format(name)), ItemVectors(inputs, outputs), index, refiner)


def _index(files: BundleFolder, name: str, outputs: Table) -> SearchIndex:
    query_map = None
    if has_query_map(files.manifest, name):
        query_map = files.array(QUERY_MAP.format(name), outputs.shape[1])
    path, settings = files.path / INDEX.format(name), files.manifest.indexes.get(name)
    return opened_index(path, outputs, settings, query_map, is_checked=files.is_vouched)
