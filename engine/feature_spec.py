"""ContentSpec: how the content of items becomes arrays; part of the bundle, so that training and service agree."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Names = Annotated[tuple[str, ...], Field(min_length=1)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class SpecSection(BaseModel):
    """A part of the spec; unknown keys are an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TextSpec(SpecSection):
    """Text as token ids, by the tokenizer of the bundle."""

    fields: Names = ("title", "description")
    """Which fields of the metadata are read, in this order."""
    max_tokens: int = Field(default=128, ge=1, le=2_048)
    """How many tokens are kept."""


class CategorySpec(SpecSection):
    """Categories as a multi-hot row."""

    fields: Names
    """Which fields of the metadata are read; equal values of different fields are one category."""
    values: tuple[str, ...] = Field(min_length=1, max_length=256)
    """The known categories in lower case, the most frequent first; others are not seen."""


class HashedSpec(SpecSection):
    """Values too many for a multi-hot row, such as people: each field and value has a bucket by a stable hash."""

    fields: Names
    """Which fields of the metadata are read; where there are too many values, those of later fields are left out."""
    buckets: int = Field(default=4_096, ge=1, le=10_000_000)
    """How many buckets there are; 1..buckets are used, 0 is padding."""
    most: int = Field(default=24, ge=1, le=1_000)
    """How many values of one item are kept."""


class NumberSpec(SpecSection):
    """One number: (x - mean) / deviation."""

    field: str
    """Which field of the metadata is read."""
    mean: Finite = 0.0
    """Of the training items, after the logarithm if there is one."""
    deviation: Positive = 1.0
    """Of the training items, after the logarithm if there is one."""
    is_logarithmic: bool = False
    """Whether sign(x) log(1 + |x|) stands for x, as suits prices."""


class ImageSpec(SpecSection):
    """A picture, cut to the aspect ratio about its centre: (x - mean) / deviation with x in 0..1, RGB."""

    height: int = Field(default=96, ge=8, le=1_024)
    """In pixels."""
    width: int = Field(default=64, ge=8, le=1_024)
    """In pixels."""
    mean: tuple[Finite, Finite, Finite] = (0.5, 0.5, 0.5)
    """Of each channel."""
    deviation: tuple[Positive, Positive, Positive] = (0.25, 0.25, 0.25)
    """Of each channel."""
    max_pixels: int = Field(default=40_000_000, ge=1)
    """Larger files are refused before they are decoded."""


class AudioSpec(SpecSection):
    """The beginning of a sound as a log-mel spectrogram: (x - mean) / deviation."""

    sample_rate: int = Field(default=16_000, ge=4_000, le=96_000)
    """In hertz; other rates are resampled."""
    seconds: float = Field(default=10.24, gt=0, le=120)
    """How much of the sound is read; a shorter one is followed by silence."""
    mels: int = Field(default=64, ge=8, le=256)
    """How many bands of frequency."""
    frames: int = Field(default=256, ge=8, le=4_096)
    """How many steps of time."""
    mean: Finite = -4.0
    """Of the logarithm of the energies."""
    deviation: Positive = 4.0
    """Of the logarithm of the energies."""


class SentenceSpec(SpecSection):
    """Text as one vector, by the frozen sentence encoder of the bundle."""

    fields: Names = ("title", "description")
    """Which fields of the metadata are read, in this order."""
    width: int = Field(ge=1, le=16_384)
    """How many numbers the encoder gives."""


class ContentSpec(SpecSection):
    """What is read of items; a part that is None is not."""

    categories: CategorySpec | None = None
    hashed: HashedSpec | None = None
    numbers: tuple[NumberSpec, ...] = ()
    text: TextSpec | None = None
    image: ImageSpec | None = None
    audio: AudioSpec | None = None
    sentence: SentenceSpec | None = None
