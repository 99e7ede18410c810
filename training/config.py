"""TrainingConfig: everything that a training run can be told, from TOML files and the command line."""

from __future__ import annotations

import inspect
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import torch
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from engine.errors import ConfigError
from engine.features import FEATURES
from engine.window import Weight
from models import RANKERS, RETRIEVERS
from training.cleaning import CleaningRules


class Section(BaseModel):
    """A part of the config; unknown keys are an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class WindowConfig(Section):
    """What a network sees of a history."""

    max_length: int = Field(default=128, ge=2, le=10_000)
    """How many of the newest events."""
    event_weights: dict[str, Weight] = Field(default_factory=dict)
    """The value in 0..1 of each kind of event that carries no rating; "view" has 1 unless it is said here."""


class StageConfig(Section):
    """What both stages have: a network and how it learns."""

    network: dict[str, Any] = Field(default_factory=dict)
    """Arguments of the network's class; see the files in models/."""
    epochs: int = Field(ge=1, le=10_000)
    """Passes over the data at most."""
    patience: int = Field(ge=1)
    """Stop after so many validations without a better NDCG@10."""
    learning_rate: float = Field(gt=0, le=1)
    """Peak learning rate; it warms up linearly and falls as a cosine."""
    warmup_steps: int = Field(ge=0)
    """Steps until the peak learning rate."""
    weight_decay: float = Field(ge=0, le=1)
    """Decoupled weight decay (AdamW) of the network; item vectors have none."""
    validate_every: int = Field(default=1, ge=1)
    """Epochs between two validations."""
    averaging: float = Field(ge=0, lt=1)
    """Decay of the moving average of the weights that is validated and exported; 0 switches it off."""


class RetrieverConfig(StageConfig):
    """The first stage."""

    model: str = "sasrec"
    """Which network of models/ encodes the history."""
    loss: Literal["auto", "softmax", "sampled_softmax"] = "auto"
    """"auto" takes the softmax over the whole catalogue up to 20,000 items, above it a sampled one."""
    negatives: int = Field(default=1_024, ge=1)
    """How many items a sampled softmax draws for each batch."""
    events_per_batch: int = Field(default=1_500, ge=1)
    """Events (padding included) in one step."""
    shuffle_ties: bool = True
    """Whether events of one user with equal timestamps are put in a new random order for each epoch."""
    validate_every: int = Field(default=2, ge=1)
    depth: int = Field(default=200, ge=10, le=10_000)
    """How many candidates are retrieved for the second stage."""
    continued_rate: float = Field(default=0.8, gt=0, le=1)
    """Share of learning_rate with which the final retriever goes on from the first one."""
    epochs: int = Field(default=10, ge=1, le=10_000)
    patience: int = Field(default=2, ge=1)
    learning_rate: float = Field(default=6e-3, gt=0, le=1)
    warmup_steps: int = Field(default=60, ge=0)
    weight_decay: float = Field(default=0.05, ge=0, le=1)
    averaging: float = Field(default=0.995, ge=0, lt=1)

    @model_validator(mode="after")
    def _known_network(self) -> Self:
        _check_network("retriever", self.model, self.network, RETRIEVERS, {"item_count"})
        return self


class RankerConfig(StageConfig):
    """The second stage."""

    model: str = "ncf"
    """Which network of models/ reranks, or "none"."""
    keep: Literal["if_better", "always"] = "if_better"
    """Whether the bundle gets the ranker only if it beats the retriever's NDCG@10 on validation."""
    features: tuple[str, ...] = (
        "retrieval_score",
        "retrieval_rank",
        "popularity",
        "recency",
        "ease",
        "ease_10",
        "cooccurrence_10",
        "cooccurrence_3",
    )
    """Candidate features (engine/features.py); the first must be retrieval_score."""
    neighbours: int = Field(default=100, ge=1, le=10_000)
    """How many of each item's strongest item-to-item weights are kept for the features."""
    ease_regularisation: float = Field(default=200.0, gt=0)
    """Lambda of EASE."""
    cooccurrence_reach: int = Field(default=5, ge=1, le=100)
    """How many events apart two items may stand to count as seen together."""
    held_out: int = Field(default=10, ge=1)
    """How many of each user's newest training events are kept from the first retriever and teach the ranker."""
    most_lists: int = Field(default=20_000, ge=1)
    """How many of those events are used at most; drawn by the seed."""
    first_epochs: int = Field(default=8, ge=1)
    """Epochs of the first retriever, which has not seen the held-out events; the final one goes on from it."""
    negatives: int = Field(default=30, ge=1)
    """Candidates drawn from each list beside the right one."""
    queries_per_batch: int = Field(default=32, ge=1)
    """Lists in one step."""
    epochs: int = Field(default=4, ge=1, le=10_000)
    patience: int = Field(default=3, ge=1)
    learning_rate: float = Field(default=2e-3, gt=0, le=1)
    warmup_steps: int = Field(default=50, ge=0)
    weight_decay: float = Field(default=0.01, ge=0, le=1)
    averaging: float = Field(default=0.99, ge=0, lt=1)

    @model_validator(mode="after")
    def _known_network(self) -> Self:
        if self.model != "none":
            _check_network("ranker", self.model, self.network, RANKERS, {"width", "features"})
        if not self.features or self.features[0] != "retrieval_score":
            raise ValueError(f"features begin with {self.features[:1]}; the first must be 'retrieval_score'")
        if unknown := set(self.features) - set(FEATURES):
            raise ValueError(f"unknown features {sorted(unknown)}; known: {sorted(FEATURES)}")
        return self


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
    device: Annotated[str, AfterValidator(_known_device)] = "cpu"
    """Where torch computes: "cpu", "cuda", "cuda:1"."""
    threads: int = Field(default=0, ge=0, le=1_024)
    """CPU threads of torch; 0 takes half the cores, at least one (docs/decisions/0002)."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Precision of the matrix products in training."""
    validation_users: int = Field(default=5_000, ge=1)
    """At most so many users are validated on; drawn once, by the seed."""
    rating_shrinkage: float = Field(default=10.0, gt=0)
    """How many ratings of the mean value an item's and a user's rating bias are shrunk by."""
    cleaning: CleaningRules = Field(default_factory=CleaningRules)
    window: WindowConfig = Field(default_factory=WindowConfig)
    retriever: RetrieverConfig = Field(default_factory=RetrieverConfig)
    ranker: RankerConfig = Field(default_factory=RankerConfig)


def load_config(files: Iterable[Path], overrides: Mapping[str, str] | None = None) -> TrainingConfig:
    """Merge TOML files, then `section.key -> value` overrides; raises ConfigError naming the key that is wrong."""
    merged: dict[str, Any] = {}
    for path in files:
        _merge(merged, _read_toml(path))
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
        kind = section.model_fields[str(part)].annotation
        if not isinstance(kind, type) or not issubclass(kind, BaseModel):
            break
        section = kind
    return sorted(section.model_fields)


def _read_toml(path: Path) -> dict[str, Any]:
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


def _check_network(
    stage: str, model: str, arguments: Mapping[str, Any], known: Mapping[str, type], given: set[str]
) -> None:
    if model not in known:
        raise ValueError(f"unknown {stage} {model!r}; known: {sorted(known)}")
    allowed = set(inspect.signature(known[model]).parameters) - given
    if unknown := set(arguments) - allowed:
        raise ValueError(f"{model} takes no {sorted(unknown)}; it takes {sorted(allowed)}")
    try:
        with torch.device("meta"):
            known[model](*(4 for _ in given), **arguments)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{model} cannot be made with {dict(arguments)}: {error}") from error
