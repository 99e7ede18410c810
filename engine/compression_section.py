"""CompressionSection: what was left out of a bundle, and what that cost."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from engine.vector_table import VectorType


class CompressionSection(BaseModel):
    """Stands in the manifest of a compressed bundle; measured on the validation events, beside the whole bundle."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    vectors: VectorType
    """How the vectors of items are stored."""
    int8_networks: bool
    """Whether the weights of the networks are whole numbers of one byte."""
    neighbours: int | None = Field(ge=1)
    """How many neighbours of an item are kept at most; None for all."""
    metric: str
    """What was to be kept, such as NDCG@10."""
    loss: float
    """The share of it that is lost; below 0 if it came out better."""
    most_loss: float
    """The share that might be lost."""
    whole_bytes: int = Field(ge=0)
    """Of the files of the whole bundle."""
    whole_version: str
    """The model_version of the whole bundle."""
