"""TrainingConfig: everything that a training run can be told, from TOML files and the command line."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterable, Mapping
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

import torch
from pydantic import AfterValidator, BaseModel, Field, ValidationError, model_validator

from engine.errors import ConfigError
from engine.features import FEATURES, IS_NEW, source_features
from engine.window import Weight
from training.cleaning import CleaningRules
from training.content_config import ContentConfig
from training.index_config import IndexConfig
from training.neighbours_config import NeighboursConfig
from training.ranker_config import RankerConfig
from training.ratings_config import RatingsConfig
from training.retriever_config import RetrieverConfig
from training.section import Section


class WindowConfig(Section):
    """What a network sees of a history."""

    max_length: int = Field(default=128, ge=2, le=10_000)
    """How many of the newest events."""
    event_weights: dict[str, Weight] = Field(default_factory=dict)
    """The value in 0..1 of each kind of event that carries no rating; "view" has 1 in data with views unless it is
    said here."""


def _known_device(name: str) -> str:
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"torch knows no device {name!r}; use cpu or cuda") from error
    if device.type not in ("cpu", "cuda"):
        raise ValueError(f"device {name!r} is not supported; use cpu or cuda")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ValueError(f"torch finds {torch.cuda.device_count()} CUDA devices, none for {name!r}; use cpu")
    return name


class TrainingConfig(Section):
    """One training run."""

    seed: int = Field(default=1, ge=0, lt=2**31)
    """Seed of every random choice."""
    split: Literal["auto", "leave_one_out", "global_time", "given"] = "auto"
    """How events become train, valid and test; "auto": the parts that the data brings, else leave_one_out."""
    stream: bool = False
    """Whether events are read in a stream and kept on disk, so that memory hardly grows with them."""
    device: Annotated[str, AfterValidator(_known_device)] = "cpu"
    """Where torch computes: "cpu", "cuda", "cuda:1"."""
    threads: int = Field(default=0, ge=0, le=1_024)
    """CPU threads of torch; 0 takes half the cores, at least one (docs/decisions/0002)."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Precision of the matrix products in training; "auto" measures, and takes bfloat16 where it is clearly faster."""
    metric: Literal["NDCG@5", "NDCG@10", "NDCG@20", "HR@10", "HR@20", "Recall@20", "MRR@10", "MRR@20"] = "NDCG@10"
    """What early stopping and the choice between networks go by, on the validation events."""
    validation_users: int = Field(default=5_000, ge=1)
    """At most so many users are validated on; drawn once, by the seed."""
    rating_shrinkage: float = Field(default=5.0, gt=0)
    """How many ratings of the mean value an item's and a user's rating bias are shrunk by."""
    report: bool = True
    """Whether the bundle gets report.html and MODEL_CARD.md; costs the baselines and their test examination."""
    cleaning: CleaningRules = Field(default_factory=CleaningRules)
    window: WindowConfig = Field(default_factory=WindowConfig)
    refit: bool = False
    """Whether the networks of sources and ratings are trained again, as long as validation chose, and all counts made
    again, on train and valid together."""
    content: ContentConfig = Field(default_factory=ContentConfig)
    neighbours: NeighboursConfig = Field(default_factory=NeighboursConfig)
    retriever: RetrieverConfig = Field(default_factory=RetrieverConfig)
    sources: tuple[RetrieverConfig, ...] = Field(default=(), max_length=16)
    """Further sources of candidates ([[sources]]), beside the retriever, whose scores the ranker reads."""
    ranker: RankerConfig = Field(default_factory=RankerConfig)
    ratings: RatingsConfig = Field(default_factory=RatingsConfig)
    index: IndexConfig = Field(default_factory=IndexConfig)

    @property
    def retrievers(self) -> tuple[RetrieverConfig, ...]:
        """The retriever and the further sources."""
        return (self.retriever, *self.sources)

    @property
    def networks(self) -> tuple[RetrieverConfig, ...]:
        """Those of the sources that are trained."""
        return tuple(each for each in self.retrievers if each.kind == "network")

    @property
    def ranker_features(self) -> tuple[str, ...]:
        """The candidate features with those that content and the further sources add."""
        new = [IS_NEW] if self.content.model != "none" and IS_NEW not in self.ranker.features else []
        return (*self.ranker.features, *new, *self._added_features)

    @property
    def _added_features(self) -> tuple[str, ...]:
        return tuple(name for source in self.sources for name in source_features(source.source_name))

    def digest(self, data: str) -> str:
        """Return what names a run: the same data and config give the same networks."""
        chosen = self.model_dump_json(exclude={"threads", "report", "index"})
        return hashlib.sha256(f"{data} {chosen}".encode()).hexdigest()

    def resumable_digest(self, data: str) -> str:
        """Return what a checkpoint must be of: the data, and all but what may change while a run goes on."""
        rate: dict[str, Any] = {"learning_rate": True}
        rates: dict[str, Any] = {
            "retriever": rate,
            "ranker": rate,
            "ratings": rate | {"refiner": rate},
            "content": rate,
            "sources": {"__all__": rate},
        }
        chosen = self.model_dump_json(exclude={"threads": True, "report": True, "index": True, **rates})
        return hashlib.sha256(f"{data} {chosen}".encode()).hexdigest()

    @model_validator(mode="after")
    def _sources_fit(self) -> Self:
        names = [each.source_name for each in self.retrievers]
        if doubled := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"sources: there are two called {doubled[0]!r}; give one of them another name")
        if reserved := sorted({"ranker", "ratings"} & set(names)):
            raise ValueError(f"sources: {reserved[0]!r} is what another stage is called; give the source another name")
        if clash := sorted(set(self._added_features) & set(FEATURES)):
            raise ValueError(f"sources: {clash[0]!r} is a feature of its own; give the source another name")
        if self.ranker.model != "none" and self.retriever.kind != "network":
            raise ValueError(
                f"retriever.model = {self.retriever.model!r} has no vectors for a ranker; put a network first and"
                f" {self.retriever.model!r} under [[sources]], or set ranker.model = 'none'"
            )
        if self.content.model == "none" and any(each.kind == "content" for each in self.retrievers):
            raise ValueError("sources: 'content' needs a content network; set content.model = 'hybrid'")
        if self.ranker.model == "none" and self.sources:
            raise ValueError("sources: without a ranker nothing uses them; leave them out, or choose a ranker.model")
        return self


def load_config(files: Iterable[Path], overrides: Mapping[str, str] | None = None) -> TrainingConfig:
    """Merge TOML files, then `section.key -> value` overrides; raises ConfigError naming the key that is wrong."""
    merged: dict[str, Any] = {}
    for path in files:
        _merge(merged, read_toml(path))
    for key, text in (overrides or {}).items():
        _merge(merged, _nested(key.split("."), _parse_value(key, text)))
    try:
        return TrainingConfig.model_validate(merged)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "config"
        message = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            message = f"there is no such key; there are {_keys_beside(first['loc'])}"
        raise ConfigError(f"{place}: {message} (got {first['input']!r:.100})") from error


def _keys_beside(place: tuple[int | str, ...]) -> list[str]:
    section: type[BaseModel] = TrainingConfig
    for part in place[:-1]:
        if isinstance(part, int):
            continue
        annotation = section.model_fields[part].annotation
        # Of a list of sections, each is of the kind that stands in its brackets.
        kind = next(iter(get_args(annotation)), annotation)
        if not isinstance(kind, type) or not issubclass(kind, BaseModel):
            break
        section = kind
    return sorted(section.model_fields)


def read_toml(path: Traversable) -> dict[str, Any]:
    """Read a TOML file; raises ConfigError if that cannot be done."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"config {path} cannot be read ({error.strerror}); the ones shipped are in configs/"
        ) from error
    except ValueError as error:
        raise ConfigError(f"config {path} is not TOML: {error}") from error


def _parse_value(key: str, text: str) -> object:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        if not text:
            raise ConfigError(f"--set {key}= has no value") from None
        return text


def _nested(parts: list[str], value: object) -> dict[str, Any]:
    return {parts[0]: value if len(parts) == 1 else _nested(parts[1:], value)}


def _merge(into: dict[str, Any], new: Mapping[str, Any]) -> None:
    for key, value in new.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value
