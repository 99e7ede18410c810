"""Manifest: what a bundle says of itself."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from engine.compression_section import CompressionSection
from engine.errors import BundleError
from engine.feature_spec import ContentSpec
from engine.index_settings import IndexSettings
from engine.vector_table import VectorType
from engine.window import HistoryWindow

FORMAT_VERSION: Literal[4] = 4
MOST_ITEMS = 100_000_000


class Section(BaseModel):
    """A part of the manifest; unknown keys are an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class FileEntry(Section):
    """One file of the bundle."""

    bytes: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class DataSection(Section):
    """What the networks of the bundle were trained on: train, or with `refit` train and valid."""

    name: str
    protocol: str
    events: int
    users: int
    items: int = Field(ge=0, le=MOST_ITEMS)
    digest: str
    """sha256 over the events of train, valid and test."""
    cleaning: dict[str, Any]
    """The rules by which the events were cleaned."""


class SourceSection(Section):
    """One source of candidates; the first of them gives the retrieved order."""

    name: str = Field(pattern="^[a-z][a-z0-9_]{0,63}$")
    model: str
    kind: Literal["network", "neighbours", "popularity", "content"]
    """An encoder with item vectors and index, an item-to-item table (of that name), the same list for everybody, or
    what is like the history by its content."""
    config: dict[str, Any]
    depth: int = Field(default=200, ge=1, le=10_000)
    """How many candidates it proposes to the ranker."""
    parameters: int = Field(default=0, ge=0)
    """How many numbers the network learned, item vectors included."""


class RankerSection(Section):
    """The second stage."""

    model: str
    config: dict[str, Any]
    features: list[str]
    """Names of the candidate features, in the order of the network's input."""
    parameters: int = Field(default=0, ge=0)
    """How many numbers the network learned."""


class RatingSection(Section):
    """The rating predictor: a network that was trained on ratings, beside mean + item bias + user bias."""

    mean: float
    shrinkage: float = Field(gt=0)
    model: str
    """The network, or "bias"."""
    config: dict[str, Any] = Field(default_factory=dict)
    max_length: int = Field(default=500, ge=1, le=10_000)
    """How many of the newest rated events the network reads."""
    has_refiner: bool = False
    """Whether a second network corrects what the first predicts."""
    parameters: int = Field(default=0, ge=0)
    """How many numbers the first network learned, item vectors included."""

    @property
    def has_network(self) -> bool:
        """Whether there is more than biases."""
        return self.model != "bias"


class ContentSection(Section):
    """The network that reads items."""

    spec: ContentSpec
    """What of an item it reads, and how that becomes arrays."""
    config: dict[str, Any]
    parameters: int = Field(default=0, ge=0)
    """How many numbers it learned."""
    score: float
    """NDCG@10 of known items that it was taught without, among themselves."""


class Manifest(Section):
    """The manifest.json of a bundle."""

    format_version: Literal[4] = FORMAT_VERSION
    created_at: str
    liverec_version: str
    git_revision: str
    libraries: dict[str, str]
    seed: int
    window: HistoryWindow
    data: DataSection
    sources: list[SourceSection] = Field(min_length=1)
    ranker: RankerSection | None
    ratings: RatingSection | None
    content: ContentSection | None = None
    """None where items are known by their events alone."""
    vocabulary_digest: str
    item_columns: list[str]
    neighbour_tables: list[str]
    indexes: dict[str, IndexSettings] = Field(default_factory=dict)
    """How the index of each source that is a network is searched, and how much of the best it finds."""
    vector_types: dict[str, VectorType] = Field(default_factory=dict)
    """How the item vectors of each network are stored, by the network's name; float32 where nothing is said."""
    compression: CompressionSection | None = None
    """What was left out, and at what cost; None in a whole bundle, of which the metrics are."""
    metrics: dict[str, dict[str, float]]
    """Measured on the validation (and test) events: stage -> metric -> value; on validation before any refit."""
    refit: bool = False
    """Whether the networks have learned the validation events too, once all was chosen."""
    precision: str = "float32"
    """In what the matrix products of training were computed."""
    run_digest: str
    """sha256 over the data and the config: a run with the same digest gives the same networks."""
    training_seconds: float = Field(default=0.0, ge=0)
    """From the data in memory to the trained networks."""
    files: dict[str, FileEntry]

    @model_validator(mode="after")
    def _sources_fit(self) -> Self:
        names = [source.name for source in self.sources]
        if len(set(names)) < len(names) or "ratings" in names:
            raise ValueError(f"sources: names must be unique, and none of them 'ratings': {names}")
        if tables := {each.name for each in self.sources if each.kind == "neighbours"} - set(self.neighbour_tables):
            raise ValueError(f"sources: there is no table for {sorted(tables)}")
        if self.content is None and any(each.kind == "content" for each in self.sources):
            raise ValueError("sources: there is no content network for one that goes by content")
        columns = {"popularity"} | ({"rating_bias"} if self.ratings is not None else set())
        if absent := columns - set(self.item_columns):
            raise ValueError(f"item_columns: {sorted(absent)} are missing")
        if self.ranker is not None and self.sources[0].kind != "network":
            raise ValueError(f"ranker: the first source {names[0]!r} has no vectors for it")
        return self

    @property
    def model_version(self) -> str:
        """Twelve hex digits that name exactly this bundle."""
        return hashlib.sha256(self.to_json()).hexdigest()[:12]

    def to_json(self) -> bytes:
        """Encode; equal manifests give equal bytes."""
        return json.dumps(self.model_dump(mode="json"), indent=2, sort_keys=True).encode() + b"\n"

    @classmethod
    def from_json(cls, encoded: bytes) -> Manifest:
        """Decode; raises BundleError that names the first wrong key."""
        try:
            return cls.model_validate_json(encoded)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            raise BundleError(
                f"manifest.json: {place}: {first['msg']}; this version reads format {FORMAT_VERSION}, train again"
            ) from error
