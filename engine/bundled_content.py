"""BundledContent: what a bundle carries to read items that training has never met, and those it was told of already."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.content_encoder import ContentEncoder
from engine.content_features import ContentFeatures
from engine.errors import BundleError
from engine.feature_spec import ContentSpec
from engine.item_tower import ItemTower, NetworkTower
from engine.live_item import LiveItem
from engine.runtime import Network
from engine.sentence_encoder import SentenceEncoder
from engine.vocabulary import Vocabulary

Floats = npt.NDArray[np.float32]
Load = Callable[[Path], npt.NDArray[Any]]
NETWORK = "content.onnx"
VECTORS = "content_vectors.npy"
TOKENIZER = "content_tokenizer.json"
SENTENCES = "sentences.onnx"
SENTENCE_TOKENIZER = "sentence_tokenizer.json"
TOWER = "{}_items.onnx"
NEWCOMERS = "newcomers.json"
NEWCOMER_METADATA = "newcomer_metadata.jsonl"
NEWCOMER_VECTORS = "newcomer_vectors.npy"


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
        return ContentEncoder(features, Network(self.network, NETWORK), self.version)

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
        np.save(folder / VECTORS, self.vectors, allow_pickle=False)
        np.save(folder / NEWCOMER_VECTORS, self.newcomers.vectors, allow_pickle=False)

    @classmethod
    def read(cls, folder: Path, spec: ContentSpec, networks: Sequence[str], load: Load) -> BundledContent:
        """Read what `write` wrote; raises BundleError on sizes that do not fit."""
        vocabulary = Vocabulary.from_json((folder / NEWCOMERS).read_bytes())
        metadata = (folder / NEWCOMER_METADATA).read_bytes().splitlines()
        newcomers = Newcomers(vocabulary, metadata, load(folder / NEWCOMER_VECTORS))
        vectors = load(folder / VECTORS)
        counts = {len(vocabulary), len(metadata), len(newcomers.vectors)}
        if len(counts) > 1 or newcomers.vectors.shape[1] != vectors.shape[1]:
            raise BundleError(f"{folder / NEWCOMERS} does not fit the files beside it; train again")
        return cls(
            spec,
            (folder / NETWORK).read_bytes(),
            vectors,
            {name: (folder / TOWER.format(name)).read_bytes() for name in networks},
            newcomers,
            (folder / TOKENIZER).read_bytes() if spec.text is not None else None,
            ((folder / SENTENCES).read_bytes(), (folder / SENTENCE_TOKENIZER).read_bytes())
            if spec.sentence is not None
            else None,
        )

    def _files(self) -> dict[str, bytes]:
        files = {
            NETWORK: self.network,
            NEWCOMERS: self.newcomers.vocabulary.to_json(),
            NEWCOMER_METADATA: b"".join(line + b"\n" for line in self.newcomers.metadata),
        }
        files |= {TOWER.format(name): tower for name, tower in self.towers.items()}
        files |= {TOKENIZER: self.tokenizer} if self.tokenizer is not None else {}
        if self.sentences is not None:
            files |= dict(zip((SENTENCES, SENTENCE_TOKENIZER), self.sentences, strict=True))
        return files


def needed_files(spec: ContentSpec, networks: Sequence[str]) -> set[str]:
    """Return the names of the files that a bundle with such content must have."""
    names = {NETWORK, VECTORS, NEWCOMERS, NEWCOMER_METADATA, NEWCOMER_VECTORS}
    names |= {TOWER.format(name) for name in networks}
    names |= {TOKENIZER} if spec.text is not None else set()
    return names | ({SENTENCES, SENTENCE_TOKENIZER} if spec.sentence is not None else set())
