"""Readers: each turns one part of an item's content into one array, as the spec says."""

from __future__ import annotations

import hashlib
import math
from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from engine.audio_decoding import log_mel
from engine.errors import BundleError
from engine.feature_spec import (
    AudioSpec,
    CategorySpec,
    HashedSpec,
    ImageSpec,
    NumberSpec,
    SentenceSpec,
    TextSpec,
)
from engine.image_decoding import image_pixels
from engine.item_content import ItemContent
from engine.metadata_values import number_of, text_of, values_of
from engine.sentence_encoder import SentenceEncoder, open_tokenizer

Array = npt.NDArray[np.float32] | npt.NDArray[np.int64]
PADDING = "[PAD]"
# Longer texts are cut before they are tokenised, so that megabytes cost nothing.
CHARACTERS_PER_TOKEN = 16
# Numbers further from the mean, in deviations, are mistakes or would drown the others.
MOST_DEVIATIONS = 10.0


class Reader(ABC):
    """One array of an item: its shape, its type, and how it is read."""

    shape: tuple[int, ...]
    dtype: ClassVar[type[np.float32] | type[np.int64]] = np.float32

    @abstractmethod
    def read(self, item: ItemContent) -> Array | None:
        """Return the array, None where the item has nothing for it; raises DataError for what cannot be read."""

    def is_in(self, item: ItemContent) -> bool:
        """Return whether the item has something for it."""
        return self.read(item) is not None


class CategoryReader(Reader):
    """1 for each known category [C]."""

    def __init__(self, spec: CategorySpec) -> None:
        self.shape = (len(spec.values),)
        self._fields = spec.fields
        self._indices = {value: index for index, value in enumerate(spec.values)}

    def read(self, item: ItemContent) -> Array | None:
        """Return 0 or 1 for each category [C]; an item that has only unknown ones has none."""
        values = (value for field in self._fields for value in values_of(item.metadata, field))
        known = [self._indices[value] for value in values if value in self._indices]
        row = np.zeros(self.shape, dtype=np.float32)
        row[known] = 1.0
        return row if known else None


class HashedReader(Reader):
    """Buckets of field and value [H], right-padded with 0."""

    dtype = np.int64

    def __init__(self, spec: HashedSpec) -> None:
        self.shape = (spec.most,)
        self._spec = spec

    def read(self, item: ItemContent) -> Array | None:
        """Return buckets 1..buckets [H], in the order of the fields and of their values."""
        named = [f"{field}={value}" for field in self._spec.fields for value in values_of(item.metadata, field)]
        row = np.zeros(self.shape, dtype=np.int64)
        kept = named[: self._spec.most]
        row[: len(kept)] = [self._bucket(each) for each in kept]
        return row if kept else None

    def _bucket(self, named: str) -> int:
        # Python's own hash differs from process to process.
        digest = hashlib.blake2b(named.encode("utf-8", "replace"), digest_size=8).digest()
        return int.from_bytes(digest, "big") % self._spec.buckets + 1


class NumberReader(Reader):
    """Standardised numbers [F], 0 where one is missing."""

    def __init__(self, specs: tuple[NumberSpec, ...]) -> None:
        self.shape = (len(specs),)
        self._specs = specs

    def read(self, item: ItemContent) -> Array | None:
        """Return the numbers [F], none further than ten deviations from its mean."""
        numbers = [number_of(item.metadata, spec.field) for spec in self._specs]
        if all(number is None for number in numbers):
            return None
        scaled = [
            0.0 if number is None else (squeezed(number, spec.is_logarithmic) - spec.mean) / spec.deviation
            for number, spec in zip(numbers, self._specs, strict=True)
        ]
        return np.clip(scaled, -MOST_DEVIATIONS, MOST_DEVIATIONS).astype(np.float32)


class TokenReader(Reader):
    """Token ids of the text [T], right-padded with 0; raises BundleError for what is no tokenizer."""

    dtype = np.int64

    def __init__(self, spec: TextSpec, tokenizer: bytes) -> None:
        self.shape = (spec.max_tokens,)
        self._spec = spec
        self._tokenizer = open_tokenizer(tokenizer)
        if self._tokenizer.id_to_token(0) != PADDING:
            raise BundleError(f"the tokenizer has {self._tokenizer.id_to_token(0)!r} at 0, not {PADDING}; train again")

    @property
    def vocabulary_size(self) -> int:
        """How many token ids there are, padding included."""
        return self._tokenizer.get_vocab_size()

    def read(self, item: ItemContent) -> Array | None:
        """Return the ids of the first tokens [T]."""
        text = self._text(item)
        if not text:
            return None
        # One at a time: encode_batch would start a thread for each core.
        ids = self._tokenizer.encode(text, add_special_tokens=False).ids[: self._spec.max_tokens]
        row = np.zeros(self.shape, dtype=np.int64)
        row[: len(ids)] = ids
        return row

    def is_in(self, item: ItemContent) -> bool:
        """Return whether the item has text."""
        return bool(self._text(item))

    def _text(self, item: ItemContent) -> str:
        return text_of(item.metadata, self._spec.fields, self._spec.max_tokens * CHARACTERS_PER_TOKEN)


class ImageReader(Reader):
    """Standardised pixels [3,H,W]."""

    def __init__(self, spec: ImageSpec) -> None:
        self.shape = (3, spec.height, spec.width)
        self._spec = spec
        self._mean = np.array(spec.mean, dtype=np.float32)[:, None, None]
        self._deviation = np.array(spec.deviation, dtype=np.float32)[:, None, None]

    def read(self, item: ItemContent) -> Array | None:
        """Return the pixels [3,H,W]."""
        if not item.image:
            return None
        pixels = image_pixels(item.image, self._spec.height, self._spec.width, self._spec.max_pixels)
        return (pixels - self._mean) / self._deviation

    def is_in(self, item: ItemContent) -> bool:
        """Return whether the item has an image, which may yet turn out to be none."""
        return bool(item.image)


class AudioReader(Reader):
    """Standardised log-mel energies [1,M,T]."""

    def __init__(self, spec: AudioSpec) -> None:
        self.shape = (1, spec.mels, spec.frames)
        self._spec = spec

    def read(self, item: ItemContent) -> Array | None:
        """Return the energies [1,M,T]."""
        if not item.audio:
            return None
        return ((log_mel(item.audio, self._spec) - self._spec.mean) / self._spec.deviation)[None].astype(np.float32)

    def is_in(self, item: ItemContent) -> bool:
        """Return whether the item has a sound, which may yet turn out to be none."""
        return bool(item.audio)


class SentenceReader(Reader):
    """The vector of the text [S]; raises BundleError if the encoder gives another width."""

    def __init__(self, spec: SentenceSpec, encoder: SentenceEncoder) -> None:
        if encoder.width != spec.width:
            raise BundleError(f"the sentence encoder gives {encoder.width} numbers, wanted {spec.width}; train again")
        self.shape = (spec.width,)
        self._fields = spec.fields
        self._encoder = encoder

    def read(self, item: ItemContent) -> Array | None:
        """Return the vector [S], of length 1."""
        text = self._text(item)
        return self._encoder.encode([text])[0] if text else None

    def is_in(self, item: ItemContent) -> bool:
        """Return whether the item has text."""
        return bool(self._text(item))

    def _text(self, item: ItemContent) -> str:
        return text_of(item.metadata, self._fields, self._encoder.max_tokens * CHARACTERS_PER_TOKEN)


def squeezed(number: float, is_logarithmic: bool) -> float:
    """Return sign(x) log(1 + |x|) or x itself."""
    return math.copysign(math.log1p(abs(number)), number) if is_logarithmic else number
