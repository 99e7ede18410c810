"""Which files a bundle has, and how large each may be."""

from __future__ import annotations

from collections.abc import Sequence

from engine.feature_spec import ContentSpec
from engine.manifest import Manifest

MANIFEST = "manifest.json"
SEAL = "manifest.sha256"
SIGNATURE = "manifest.sig"
UNFINISHED_SIGNATURE = "manifest.sig.unfinished"
"""What a killed `liverec bundle sign` leaves; nothing ever reads it."""
VOCABULARY = "vocabulary.json"
METADATA = "metadata.jsonl"
COLUMNS = "item_columns.npy"
NEIGHBOURS = "{}_neighbours.npy"
NEIGHBOUR_WEIGHTS = "{}_weights.npy"
INPUT_VECTORS = "{}_inputs.npy"
OUTPUT_VECTORS = "{}_outputs.npy"
INDEX = "{}_index.faiss"
QUERY_MAP = "{}_index.npy"
ENCODER = "{}_encoder.onnx"
RANKER = "ranker.onnx"
RATINGS = "ratings"
REFINER = "ratings_refiner.onnx"
PROBE = "probe.json"
CONTENT = "content.onnx"
CONTENT_VECTORS = "content_vectors.npy"
TOKENIZER = "content_tokenizer.json"
SENTENCES = "sentences.onnx"
SENTENCE_TOKENIZER = "sentence_tokenizer.json"
TOWER = "{}_items.onnx"
NEWCOMERS = "newcomers.json"
NEWCOMER_METADATA = "newcomer_metadata.jsonl"
NEWCOMER_VECTORS = "newcomer_vectors.npy"

MOST_FILES = 1_000
MOST_MANIFEST_BYTES = 8 << 20
MOST_WIDTH = 16_384
"""Of a row of numbers."""
MOST_LINK_BYTES = 4_096
"""What an index keeps of an item beside its vector."""
MOST_ITEM_BYTES = 512 << 10
"""Of the metadata of an item: POST /items takes less."""
ITEM_BYTES, LEAST_METADATA_BYTES = 16 << 10, 64 << 20
"""Of the metadata of all items: so many for each, and so many in any case."""
MOST_BYTES = {".npy": 64 << 30, ".faiss": 64 << 30, ".onnx": 1 << 30, ".jsonl": 16 << 30, ".json": 1 << 30}
MOST_PROBE_BYTES = 64 << 20
MOST_OTHER_BYTES = 256 << 20


def source_networks(manifest: Manifest) -> list[str]:
    """Return the names of the sources that are networks."""
    return [each.name for each in manifest.sources if each.kind == "network"]


def networks(manifest: Manifest) -> list[str]:
    """Return the names of all encoders, that of the ratings last."""
    names = source_networks(manifest)
    return [*names, RATINGS] if manifest.ratings and manifest.ratings.has_network else names


def has_refiner(manifest: Manifest) -> bool:
    """Return whether there is a second network for ratings."""
    return manifest.ratings is not None and manifest.ratings.has_network and manifest.ratings.has_refiner


def has_query_map(manifest: Manifest, name: str) -> bool:
    """Return whether the index of a source has lists, which need a map of queries."""
    settings = manifest.indexes.get(name)
    return settings is not None and settings.kind in ("ivf", "ivfpq")


def needed(manifest: Manifest) -> set[str]:
    """Return the names of the files without which the bundle cannot answer."""
    names = {VOCABULARY, METADATA, COLUMNS, PROBE} | ({RANKER} if manifest.ranker else set())
    names |= {file.format(name) for name in networks(manifest) for file in (INPUT_VECTORS, OUTPUT_VECTORS, ENCODER)}
    names |= {INDEX.format(name) for name in source_networks(manifest)}
    names |= {QUERY_MAP.format(name) for name in source_networks(manifest) if has_query_map(manifest, name)}
    names |= {REFINER} if has_refiner(manifest) else set()
    names |= _content_files(manifest.content.spec, source_networks(manifest)) if manifest.content else set()
    return names | {file.format(each) for each in manifest.neighbour_tables for file in (NEIGHBOURS, NEIGHBOUR_WEIGHTS)}


def most_bytes(name: str, manifest: Manifest) -> int:
    """Return how large a file may be in a bundle of so many items."""
    rows, ending = manifest.data.items + 1, name[name.rfind(".") :]
    counted = {
        VOCABULARY: rows * 2_048,
        METADATA: most_metadata(rows),
        PROBE: MOST_PROBE_BYTES,
        NEWCOMERS: MOST_BYTES[".json"],
    }
    most = MOST_BYTES.get(ending, MOST_OTHER_BYTES)
    if name not in needed(manifest):
        return min(most, MOST_OTHER_BYTES)
    if ending in {".npy", ".faiss"} and not name.startswith("newcomer"):
        return min(most, rows * (4 * MOST_WIDTH + MOST_LINK_BYTES) + MOST_LINK_BYTES)
    return min(most, counted.get(name, most))


def most_metadata(items: int) -> int:
    """Return how many bytes the metadata of so many items may have."""
    return items * ITEM_BYTES + LEAST_METADATA_BYTES


def _content_files(spec: ContentSpec, names: Sequence[str]) -> set[str]:
    files = {CONTENT, CONTENT_VECTORS, NEWCOMERS, NEWCOMER_METADATA, NEWCOMER_VECTORS}
    files |= {TOWER.format(name) for name in names}
    files |= {TOKENIZER} if spec.text is not None else set()
    return files | ({SENTENCES, SENTENCE_TOKENIZER} if spec.sentence is not None else set())
