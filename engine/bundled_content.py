"""BundledContent: what a bundle carries to read items that training has never met, and those it was told of already."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engine.bundle_folder import BundleFolder
from engine.bundle_layout import (
    CONTENT,
    CONTENT_VECTORS,
    NEWCOMER_METADATA,
    NEWCOMER_VECTORS,
    NEWCOMERS,
    SENTENCE_TOKENIZER,
    SENTENCES,
    TOKENIZER,
    TOWER,
)
from engine.content_encoder import ContentEncoder
from engine.content_features import ContentFeatures
from engine.errors import BundleError
from engine.feature_spec import ContentSpec
from engine.item_tower import ItemTower, NetworkTower
from engine.live_item import LiveItem
from engine.runtime import Network
from engine.sentence_encoder import SentenceEncoder
from engine.unreadable import unreadable
from engine.vocabulary import Vocabulary

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Newcomers:
    """Described items [M] that no training event knows, with their metadata and content vectors [M,V]."""

    vocabulary: Vocabulary
    metadata: Sequence[bytes]
    vectors: Floats

    def live_items(self, since: float) -> list[LiveItem]:
        """Return them as if they had been added at a time; one whose vector is all zeros has no content."""
        rows = zip(self.vocabulary.ids(), self.metadata, self.vectors, strict=True)
        return [
            LiveItem(item_id, json.loads(metadata), added_at=since, content_vector=vector if vector.any() else None)
            for item_id, metadata, vector in rows
        ]


@dataclass(frozen=True, slots=True)
class BundledContent:
    """The content network with all that it needs, content vectors [N,V] of the known items, and for each network source
    its tower. Networks are ONNX."""

    spec: ContentSpec
    network: bytes
    vectors: Floats
    towers: Mapping[str, bytes]
    newcomers: Newcomers
    tokenizer: bytes | None = None
    sentences: tuple[bytes, bytes] | None = None
    """A frozen sentence encoder as ONNX, and its tokenizer."""

    def encoder(self) -> ContentEncoder:
        """Return what makes content vectors."""
        sentence = SentenceEncoder(*self.sentences) if self.sentences is not None else None
        features = ContentFeatures(self.spec, self.tokenizer, sentence)
        return ContentEncoder(features, Network(self.network, CONTENT), self.version)

    @property
    def version(self) -> str:
        """A sha256 over all that a content vector depends on."""
        digest = hashlib.sha256(self.spec.model_dump_json().encode())
        for part in (self.network, self.tokenizer or b"", *(self.sentences or ())):
            digest.update(hashlib.sha256(part).digest())
        return digest.hexdigest()

    def item_towers(self) -> dict[str, ItemTower]:
        """Return the tower of each network source."""
        return {name: NetworkTower(Network(tower, TOWER.format(name))) for name, tower in self.towers.items()}

    def write(self, folder: Path) -> None:
        """Write all files into a folder."""
        for name, content in self._files().items():
            (folder / name).write_bytes(content)
        np.save(folder / CONTENT_VECTORS, self.vectors, allow_pickle=False)
        np.save(folder / NEWCOMER_VECTORS, self.newcomers.vectors, allow_pickle=False)

    @classmethod
    def read(cls, files: BundleFolder, spec: ContentSpec, networks: Sequence[str]) -> BundledContent:
        """Read what `write` wrote; raises BundleError on sizes that do not fit."""
        vectors = files.array(CONTENT_VECTORS, files.manifest.data.items)
        with unreadable(files.path / NEWCOMERS):
            vocabulary = Vocabulary.from_json(files.read(NEWCOMERS))
        metadata = files.lines(NEWCOMER_METADATA, len(vocabulary))
        if len(metadata) != len(vocabulary):
            raise BundleError(f"{files.path / NEWCOMERS} does not fit {NEWCOMER_METADATA}; train again")
        newcomers = files.array(NEWCOMER_VECTORS, len(vocabulary), vectors.shape[1])
        return cls(
            spec,
            files.read(CONTENT),
            vectors,
            {name: files.read(TOWER.format(name)) for name in networks},
            Newcomers(vocabulary, metadata, newcomers),
            files.read(TOKENIZER) if spec.text is not None else None,
            (files.read(SENTENCES), files.read(SENTENCE_TOKENIZER)) if spec.sentence is not None else None,
        )

    def _files(self) -> dict[str, bytes]:
        files = {
            CONTENT: self.network,
            NEWCOMERS: self.newcomers.vocabulary.to_json(),
            NEWCOMER_METADATA: b"".join(line + b"\n" for line in self.newcomers.metadata),
        }
        files |= {TOWER.format(name): tower for name, tower in self.towers.items()}
        files |= {TOKENIZER: self.tokenizer} if self.tokenizer is not None else {}
        if self.sentences is not None:
            files |= dict(zip((SENTENCES, SENTENCE_TOKENIZER), self.sentences, strict=True))
        return files
