"""Bundle: the immutable folder that training writes and the service opens."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.atomic import atomic_folder
from engine.bundled_content import BundledContent, needed_files
from engine.content_encoder import ContentEncoder
from engine.content_source import ContentSource
from engine.encoder import NetworkEncoder
from engine.errors import BundleError
from engine.index import VectorIndex
from engine.item_vectors import ItemVectors
from engine.items import ItemTable
from engine.manifest import FileEntry, Manifest, SourceSection
from engine.neighbour_source import NeighbourSource
from engine.neighbours import NeighbourTable
from engine.popularity_source import PopularitySource
from engine.probe import Probe
from engine.ranking import NetworkRanker
from engine.ratings import BiasRatings, NetworkRatings, NetworkRefiner, RatingPredictor
from engine.recommender import Recommender
from engine.runtime import Network
from engine.source import Source
from engine.vector_source import VectorSource
from engine.vocabulary import Vocabulary

MANIFEST = "manifest.json"
SEAL = "manifest.sha256"
VOCABULARY = "vocabulary.json"
METADATA = "metadata.jsonl"
COLUMNS = "item_columns.npy"
NEIGHBOURS = "{}_neighbours.npy"
NEIGHBOUR_WEIGHTS = "{}_weights.npy"
INPUT_VECTORS = "{}_inputs.npy"
OUTPUT_VECTORS = "{}_outputs.npy"
INDEX = "{}_index.faiss"
ENCODER = "{}_encoder.onnx"
RANKER = "ranker.onnx"
RATINGS = "ratings"
REFINER = "ratings_refiner.onnx"
PROBE = "probe.json"


@dataclass(frozen=True, slots=True)
class EncodedNetwork:
    """An encoder as ONNX with its item vectors, and the index over them if it is a source."""

    encoder: bytes
    vectors: ItemVectors
    index: VectorIndex | None = None
    refiner: bytes | None = None
    """The second stage of predicted ratings as ONNX."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """Everything that is needed to answer; `attachments` are further files for people (curves, reports), by name.

    A bundle proves itself: the seal is the sha256 of the manifest, the manifest has the sha256 of each other file, and
    the probe has the answers that the whole must give.
    """

    manifest: Manifest
    items: ItemTable
    encoded: Mapping[str, EncodedNetwork]
    """The networks of the sources by name, and that of the ratings as "ratings"."""
    ranker: bytes | None
    probe: Probe
    attachments: Mapping[str, bytes] = field(default_factory=dict)
    items_content: BundledContent | None = None

    @property
    def content(self) -> ContentEncoder | None:
        """What reads new items, made anew each time; None where items are known by their events alone."""
        return self.items_content.encoder() if self.items_content is not None else None

    @property
    def model_version(self) -> str:
        """Twelve hex digits that name exactly this bundle."""
        return self.manifest.model_version

    def recommender(self) -> Recommender:
        """Return a recommender of this bundle; what is added to it while it runs is its own."""
        # The arrays are shared; what comes live is not.
        own = replace(
            self, items=replace(self.items), encoded={name: _own(each) for name, each in self.encoded.items()}
        )
        return own._recommender()

    def _recommender(self) -> Recommender:
        manifest, content, ranker = self.manifest, self.items_content, None
        if manifest.ranker and self.ranker is not None:
            vectors = self.encoded[manifest.sources[0].name].vectors
            ranker = NetworkRanker(Network(self.ranker, RANKER), manifest.ranker.features, self.items, vectors)
        recommender = Recommender(
            self.items,
            manifest.window,
            [self._source(section) for section in manifest.sources],
            ranker=ranker,
            ratings=self._ratings(),
            towers=content.item_towers() if content is not None else None,
            content_vectors=content.vectors if content is not None else None,
        )
        if content is not None:
            since = datetime.fromisoformat(manifest.created_at).timestamp()
            recommender.catalogue.put(content.newcomers.live_items(since))
        return recommender

    @property
    def longest_read(self) -> int:
        """How many of the newest events of a history the networks read."""
        ratings = self.manifest.ratings
        return max(self.manifest.window.max_length, ratings.max_length if ratings and ratings.has_network else 0)

    def _ratings(self) -> RatingPredictor | None:
        section, window = self.manifest.ratings, self.manifest.window
        if section is None:
            return None
        biases = BiasRatings(self.items, section.mean, window.rating_scale, section.shrinkage)
        if not section.has_network:
            return biases
        longer = window.model_copy(update={"max_length": section.max_length})
        encoded = self.encoded[RATINGS]
        refiner = None if encoded.refiner is None else NetworkRefiner(Network(encoded.refiner, REFINER))
        return NetworkRatings(self.items, longer, encoded.vectors, self._encoder(RATINGS), biases, refiner)

    def _source(self, section: SourceSection) -> Source:
        if section.kind == "popularity":
            return PopularitySource(section.name, self.items, section.depth)
        if section.kind == "content" and self.items_content is not None:
            return ContentSource(section.name, self.items_content.vectors, depth=section.depth)
        if section.kind == "neighbours":
            return NeighbourSource(section.name, self.items.neighbours[section.name], section.depth)
        encoded = self.encoded[section.name]
        index = encoded.index or VectorIndex.build(encoded.vectors.outputs)
        return VectorSource(section.name, encoded.vectors, self._encoder(section.name), index, section.depth)

    def _encoder(self, name: str) -> NetworkEncoder:
        return NetworkEncoder(Network(self.encoded[name].encoder, ENCODER.format(name)))

    def save(self, folder: Path) -> Bundle:
        """Write the bundle whole or not at all, and return it as it opens again."""
        with atomic_folder(folder) as temporary:
            self._write_files(temporary)
            manifest = self.manifest.model_copy(update={"files": _entries(temporary)})
            encoded = manifest.to_json()
            (temporary / MANIFEST).write_bytes(encoded)
            (temporary / SEAL).write_text(hashlib.sha256(encoded).hexdigest())
        return Bundle.open(folder)

    @classmethod
    def open(cls, folder: Path) -> Bundle:
        """Open a bundle after checking every byte of it; raises BundleError that names the file and the remedy."""
        manifest = _read_manifest(folder)
        _check_files(folder, manifest)
        items = _read_items(folder, manifest)
        encoded = {name: _read_network(folder, name) for name in _networks(manifest)}
        if _has_refiner(manifest):
            encoded[RATINGS] = replace(encoded[RATINGS], refiner=(folder / REFINER).read_bytes())
        ranker = (folder / RANKER).read_bytes() if manifest.ranker else None
        probe = Probe.from_json((folder / PROBE).read_bytes())
        content = None
        if manifest.content is not None:
            content = BundledContent.read(folder, manifest.content.spec, _source_networks(manifest), _load)
        return cls(manifest, items, encoded, ranker, probe, items_content=content)

    def _write_files(self, folder: Path) -> None:
        items = self.items
        (folder / VOCABULARY).write_bytes(items.vocabulary.to_json())
        (folder / METADATA).write_bytes(b"".join(line + b"\n" for line in items.metadata))
        columns = [items.columns[name] for name in self.manifest.item_columns]
        np.save(folder / COLUMNS, np.stack(columns).astype(np.float32), allow_pickle=False)
        for name, table in items.neighbours.items():
            np.save(folder / NEIGHBOURS.format(name), table.indices, allow_pickle=False)
            np.save(folder / NEIGHBOUR_WEIGHTS.format(name), table.weights, allow_pickle=False)
        for name, source in self.encoded.items():
            np.save(folder / INPUT_VECTORS.format(name), source.vectors.inputs, allow_pickle=False)
            np.save(folder / OUTPUT_VECTORS.format(name), source.vectors.outputs, allow_pickle=False)
            if source.index is not None:
                source.index.save(folder / INDEX.format(name))
            if source.refiner is not None:
                (folder / REFINER).write_bytes(source.refiner)
            (folder / ENCODER.format(name)).write_bytes(source.encoder)
        if self.ranker is not None:
            (folder / RANKER).write_bytes(self.ranker)
        if self.items_content is not None:
            self.items_content.write(folder)
        (folder / PROBE).write_bytes(self.probe.to_json())
        for name, content in self.attachments.items():
            (folder / name).write_bytes(content)


def _own(encoded: EncodedNetwork) -> EncodedNetwork:
    return replace(encoded, vectors=replace(encoded.vectors))


def _entries(folder: Path) -> dict[str, FileEntry]:
    return {path.name: FileEntry(bytes=path.stat().st_size, sha256=_sha256(path)) for path in sorted(folder.iterdir())}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_manifest(folder: Path) -> Manifest:
    for name in (MANIFEST, SEAL):
        if not (folder / name).is_file():
            raise BundleError(f"{folder} is no bundle: it has no {name}; `liverec train --out {folder}` makes one")
    encoded = (folder / MANIFEST).read_bytes()
    if (folder / SEAL).read_bytes() != hashlib.sha256(encoded).hexdigest().encode():
        raise BundleError(f"{folder / MANIFEST} is damaged: it differs from {SEAL}; copy or train the bundle again")
    return Manifest.from_json(encoded)


def _check_files(folder: Path, manifest: Manifest) -> None:
    present = {path.name for path in folder.iterdir()} - {MANIFEST, SEAL}
    if strange := present ^ manifest.files.keys():
        state = "missing" if strange - present else "not in the manifest"
        raise BundleError(f"{folder / min(strange)} is {state}; copy or train the bundle again")
    needed = {VOCABULARY, METADATA, COLUMNS, PROBE} | ({RANKER} if manifest.ranker else set())
    networks = _networks(manifest)
    needed |= {file.format(name) for name in networks for file in (INPUT_VECTORS, OUTPUT_VECTORS, ENCODER)}
    needed |= {INDEX.format(name) for name in networks if name != RATINGS}
    needed |= {REFINER} if _has_refiner(manifest) else set()
    needed |= needed_files(manifest.content.spec, _source_networks(manifest)) if manifest.content else set()
    needed |= {file.format(name) for name in manifest.neighbour_tables for file in (NEIGHBOURS, NEIGHBOUR_WEIGHTS)}
    if absent := needed - present:
        raise BundleError(f"{folder / min(absent)} is missing; copy or train the bundle again")
    for name, entry in manifest.files.items():
        path = folder / name
        if path.stat().st_size != entry.bytes or _sha256(path) != entry.sha256:
            raise BundleError(f"{path} is damaged: its sha256 is not the manifest's; copy or train the bundle again")


def _read_items(folder: Path, manifest: Manifest) -> ItemTable:
    vocabulary = Vocabulary.from_json((folder / VOCABULARY).read_bytes())
    if vocabulary.digest() != manifest.vocabulary_digest:
        raise BundleError(f"{folder / VOCABULARY} has another digest than the manifest says; train again")
    columns = _load(folder / COLUMNS)
    if len(columns) != len(manifest.item_columns):
        raise BundleError(f"{folder / COLUMNS} has {len(columns)} columns, not {manifest.item_columns}; train again")
    return ItemTable(
        vocabulary,
        dict(zip(manifest.item_columns, columns, strict=True)),
        (folder / METADATA).read_bytes().splitlines(),
        {name: _read_neighbours(folder, name) for name in manifest.neighbour_tables},
    )


def _source_networks(manifest: Manifest) -> list[str]:
    return [each.name for each in manifest.sources if each.kind == "network"]


def _networks(manifest: Manifest) -> list[str]:
    names = _source_networks(manifest)
    return [*names, RATINGS] if manifest.ratings and manifest.ratings.has_network else names


def _has_refiner(manifest: Manifest) -> bool:
    return manifest.ratings is not None and manifest.ratings.has_network and manifest.ratings.has_refiner


def _read_network(folder: Path, name: str) -> EncodedNetwork:
    inputs, outputs = _load(folder / INPUT_VECTORS.format(name)), _load(folder / OUTPUT_VECTORS.format(name))
    index = VectorIndex.open(folder / INDEX.format(name)) if name != RATINGS else None
    if index is not None and (len(index), index.width) != outputs.shape:
        raise BundleError(
            f"{INDEX.format(name)} does not fit {OUTPUT_VECTORS.format(name)} {outputs.shape}; train again"
        )
    return EncodedNetwork((folder / ENCODER.format(name)).read_bytes(), ItemVectors(inputs, outputs), index)


def _read_neighbours(folder: Path, name: str) -> NeighbourTable:
    indices = _load(folder / NEIGHBOURS.format(name), np.int32)
    weights = _load(folder / NEIGHBOUR_WEIGHTS.format(name))
    if indices.shape != weights.shape or indices.min(initial=0) < 0 or indices.max(initial=0) >= len(indices):
        raise BundleError(f"{folder / NEIGHBOURS.format(name)} names items that are not there; train again")
    return NeighbourTable(indices, weights)


def _load(path: Path, dtype: type[np.generic] = np.float32) -> npt.NDArray[Any]:
    try:
        array: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError) as error:
        raise BundleError(f"{path} is no array file; copy or train the bundle again") from error
    if array.dtype != dtype or array.ndim != 2:
        wanted = np.dtype(dtype).name
        raise BundleError(f"{path} is {array.dtype} with {array.ndim} dimensions, wanted {wanted} with 2; train again")
    return array
