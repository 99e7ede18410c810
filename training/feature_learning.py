"""What content features learn from the training items: categories, scales of numbers, a tokenizer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Self

import numpy as np
from pydantic import Field, model_validator
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.normalizers import NFKC, Lowercase
from tokenizers.normalizers import Sequence as Normalizers
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.trainers import BpeTrainer

from engine.content_features import ContentFeatures
from engine.content_readers import CHARACTERS_PER_TOKEN, PADDING, squeezed
from engine.feature_spec import (
    AudioSpec,
    CategorySpec,
    ContentSpec,
    HashedSpec,
    ImageSpec,
    NumberSpec,
    SentenceSpec,
    TextSpec,
)
from engine.item_content import ItemContent
from engine.metadata_values import number_of, text_of, values_of
from engine.sentence_encoder import SentenceEncoder
from training.section import Section

UNKNOWN = "[UNK]"
MOST_CHARACTERS_IN_ALPHABET = 1_000

Say = Callable[[str], None]
Items = Sequence[ItemContent]


class ContentFields(Section):
    """Which fields of the items are read, and how."""

    text: tuple[str, ...] = ("title", "description")
    """Fields that become tokens."""
    max_tokens: int = Field(default=128, ge=1, le=2_048)
    """How many tokens of an item are kept."""
    pieces: int = Field(default=8_000, ge=100, le=100_000)
    """How many words and pieces of words the tokenizer knows at most."""
    categories: tuple[str, ...] = ("categories", "tags")
    """Fields whose values become a multi-hot row."""
    most_categories: int = Field(default=256, ge=1, le=256)
    """How many of the most frequent values the row has at most."""
    hashed: tuple[str, ...] = ()
    """Fields whose values, too many for a row, are hashed: director, cast, …"""
    buckets: int = Field(default=4_096, ge=1, le=10_000_000)
    """How many buckets they are hashed into."""
    most_hashed: int = Field(default=24, ge=1, le=1_000)
    """How many hashed values of an item are kept."""
    numbers: tuple[str, ...] = ("year", "price")
    """Fields that are numbers."""
    logarithmic: tuple[str, ...] = ("price",)
    """Those of the numbers whose logarithm is taken."""
    image: bool = False
    """Whether images are read."""
    image_height: int = Field(default=96, ge=8, le=1_024)
    """In pixels."""
    image_width: int = Field(default=64, ge=8, le=1_024)
    """In pixels."""
    audio: bool = False
    """Whether sounds are read; needs the extra "audio"."""
    audio_seconds: float = Field(default=10.24, gt=0, le=120)
    """How much of a sound is read, from its beginning."""
    sentence: Path | None = None
    """The folder of a sentence-transformers model that reads the text too; needs the extra "sentence"."""

    @model_validator(mode="after")
    def _sentences_have_text(self) -> Self:
        if self.sentence is not None and not self.text:
            raise ValueError('sentence: there is no text to read; name its fields with text = ["title"]')
        return self


def learn_features(
    fields: ContentFields, items: Items, sentence: SentenceEncoder | None = None, say: Say = lambda _: None
) -> ContentFeatures:
    """Learn from the training items what the fields ask for; `say` hears of each part that no item has.

    Without `sentence`, the encoder of `fields.sentence` is exported. Raises DataError for metadata that cannot be read.
    """
    texts = _texts(fields, items) if fields.text else []
    has_text = any(texts)
    encoder = _encoder(fields, sentence) if has_text else None
    spec = ContentSpec(
        categories=_categories(fields, items),
        hashed=_hashed(fields, items),
        numbers=_numbers(fields, items),
        text=TextSpec(fields=fields.text, max_tokens=fields.max_tokens) if has_text else None,
        image=_image(fields, items),
        audio=_audio(fields, items),
        sentence=SentenceSpec(fields=fields.text, width=encoder.width) if encoder is not None else None,
    )
    for part in _absent(fields, spec):
        say(f"no training item has {part}: left out")
    return ContentFeatures(spec, train_tokenizer(texts, fields.pieces) if has_text else None, encoder)


def train_tokenizer(texts: Iterable[str], pieces: int) -> bytes:
    """Return a byte-pair tokenizer as JSON: id 0 is padding, 1 an unknown character; equal texts give equal bytes."""
    # Not WordPiece: its trainer numbers the pieces inside words by chance, and breaks ties by those numbers.
    tokenizer = Tokenizer(BPE(unk_token=UNKNOWN, fuse_unk=True))
    tokenizer.normalizer = Normalizers([NFKC(), Lowercase()])
    tokenizer.pre_tokenizer = BertPreTokenizer()
    listed = list(texts)
    alphabet = _alphabet(tokenizer, listed)
    trainer = BpeTrainer(
        vocab_size=pieces,
        min_frequency=2,
        special_tokens=[PADDING, UNKNOWN],
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
        show_progress=False,
    )
    tokenizer.train_from_iterator(listed, trainer, length=len(listed))
    return tokenizer.to_str().encode()


def _alphabet(tokenizer: Tokenizer, texts: Iterable[str]) -> list[str]:
    # Chosen here, for the trainer breaks ties between rare characters by chance.
    normalizer = tokenizer.normalizer
    counts = Counter(character for text in texts for character in normalizer.normalize_str(text))
    ranked = sorted(counts, key=lambda character: (-counts[character], character))
    return [character for character in ranked if not character.isspace()][:MOST_CHARACTERS_IN_ALPHABET]


def _texts(fields: ContentFields, items: Items) -> list[str]:
    most = fields.max_tokens * CHARACTERS_PER_TOKEN
    return [text_of(item.metadata, fields.text, most) for item in items]


def _categories(fields: ContentFields, items: Items) -> CategorySpec | None:
    counts: Counter[str] = Counter()
    for item in items:
        counts.update({value for field in fields.categories for value in values_of(item.metadata, field)})
    ranked = sorted(counts, key=lambda value: (-counts[value], value))[: fields.most_categories]
    return CategorySpec(fields=fields.categories, values=tuple(ranked)) if ranked else None


def _hashed(fields: ContentFields, items: Items) -> HashedSpec | None:
    if not any(values_of(item.metadata, field) for item in items for field in fields.hashed):
        return None
    return HashedSpec(fields=fields.hashed, buckets=fields.buckets, most=fields.most_hashed)


def _numbers(fields: ContentFields, items: Items) -> tuple[NumberSpec, ...]:
    scales = (_scale(field, field in fields.logarithmic, items) for field in fields.numbers)
    return tuple(scale for scale in scales if scale is not None)


def _scale(field: str, is_logarithmic: bool, items: Items) -> NumberSpec | None:
    given = (number_of(item.metadata, field) for item in items)
    numbers = np.array([squeezed(number, is_logarithmic) for number in given if number is not None])
    if not len(numbers):
        return None
    # What never varies has no scale of its own.
    deviation = float(numbers.std()) or 1.0
    return NumberSpec(field=field, mean=float(numbers.mean()), deviation=deviation, is_logarithmic=is_logarithmic)


def _image(fields: ContentFields, items: Items) -> ImageSpec | None:
    if not fields.image or not any(item.image for item in items):
        return None
    return ImageSpec(height=fields.image_height, width=fields.image_width)


def _audio(fields: ContentFields, items: Items) -> AudioSpec | None:
    if not fields.audio or not any(item.audio for item in items):
        return None
    return AudioSpec(seconds=fields.audio_seconds)


def _encoder(fields: ContentFields, sentence: SentenceEncoder | None) -> SentenceEncoder | None:
    if sentence is not None or fields.sentence is None:
        return sentence
    from training.sentence_export import export_sentence_model

    return SentenceEncoder(*export_sentence_model(fields.sentence))


def _absent(fields: ContentFields, spec: ContentSpec) -> list[str]:
    learned = {number.field for number in spec.numbers}
    wanted = {
        f"text ({', '.join(fields.text)})": fields.text and spec.text is None,
        f"categories ({', '.join(fields.categories)})": fields.categories and spec.categories is None,
        f"values to hash ({', '.join(fields.hashed)})": fields.hashed and spec.hashed is None,
        **{f"a number ({field})": field not in learned for field in fields.numbers},
        "an image": fields.image and spec.image is None,
        "a sound": fields.audio and spec.audio is None,
    }
    return [part for part, is_absent in wanted.items() if is_absent]
