"""Bundle: the immutable folder that training writes and the service opens."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import numpy as np

from engine.atomic import atomic_folder
from engine.bundle_folder import BundleFolder
from engine.bundle_layout import (
    COLUMNS,
    ENCODER,
    INDEX,
    INPUT_VECTORS,
    MANIFEST,
    METADATA,
    NEIGHBOUR_WEIGHTS,
    NEIGHBOURS,
    OUTPUT_VECTORS,
    PROBE,
    QUERY_MAP,
    RANKER,
    RATINGS,
    REFINER,
    SEAL,
    VOCABULARY,
)
from engine.bundle_reading import read_content, read_items, read_networks, read_probe
from engine.bundled_content import BundledContent
from engine.content_encoder import ContentEncoder
from engine.content_source import ContentSource
from engine.encoded_network import EncodedNetwork
from engine.encoder import NetworkEncoder
from engine.file_digest import file_digest
from engine.index import VectorIndex
from engine.inverted_index import InvertedIndex
from engine.items import ItemTable
from engine.manifest import FileEntry, Manifest, SourceSection
from engine.neighbour_source import NeighbourSource
from engine.popularity_source import PopularitySource
from engine.probe import Probe
from engine.ranking import NetworkRanker
from engine.ratings import BiasRatings, NetworkRatings, NetworkRefiner, RatingPredictor
from engine.recommender import Recommender
from engine.runtime import Network
from engine.source import Source
from engine.unreadable import unreadable
from engine.vector_source import VectorSource
from engine.vector_table import kind_of, stored


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
        with unreadable(f"bundle {self.model_version}", "train again"):
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
        index = encoded.index or VectorIndex.build(np.asarray(encoded.vectors.outputs))
        return VectorSource(section.name, encoded.vectors, self._encoder(section.name), index, section.depth)

    def _encoder(self, name: str) -> NetworkEncoder:
        return NetworkEncoder(Network(self.encoded[name].encoder, ENCODER.format(name)))

    def save(self, folder: Path) -> Bundle:
        """Write the bundle whole or not at all, and return it as it opens again."""
        with atomic_folder(folder) as temporary:
            self._write_files(temporary)
            manifest = self.manifest.model_copy(update=_stored(self.encoded) | {"files": _entries(temporary)})
            encoded = manifest.to_json()
            (temporary / MANIFEST).write_bytes(encoded)
            (temporary / SEAL).write_text(hashlib.sha256(encoded).hexdigest())
        return Bundle.open(folder)

    @classmethod
    def open(cls, folder: Path, public_keys: Collection[str] = ()) -> Bundle:
        """Open a bundle after checking every byte of it; raises BundleError that names the file and the remedy.

        With public keys (hex, Ed25519), one of them must have signed it.
        """
        files = BundleFolder.open(folder, public_keys)
        files.check()
        return cls(
            files.manifest,
            read_items(files),
            read_networks(files),
            files.read(RANKER) if files.manifest.ranker else None,
            read_probe(files),
            items_content=read_content(files),
        )

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
            np.save(folder / INPUT_VECTORS.format(name), stored(source.vectors.inputs), allow_pickle=False)
            np.save(folder / OUTPUT_VECTORS.format(name), stored(source.vectors.outputs), allow_pickle=False)
            if source.index is not None:
                source.index.save(folder / INDEX.format(name))
                if isinstance(source.index, InvertedIndex):
                    np.save(folder / QUERY_MAP.format(name), source.index.query_map, allow_pickle=False)
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


def _stored(encoded: Mapping[str, EncodedNetwork]) -> dict[str, object]:
    """Return what the manifest says of vectors and indexes, which is what is written."""
    return {
        "indexes": {name: each.index.settings for name, each in encoded.items() if each.index is not None},
        "vector_types": {name: kind_of(each.vectors.outputs) for name, each in encoded.items()},
    }


def _own(encoded: EncodedNetwork) -> EncodedNetwork:
    return replace(encoded, vectors=replace(encoded.vectors))


def _entries(folder: Path) -> dict[str, FileEntry]:
    return {
        path.name: FileEntry(bytes=path.stat().st_size, sha256=file_digest(path)) for path in sorted(folder.iterdir())
    }
