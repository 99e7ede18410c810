"""ContentFeatures: items as the arrays that content networks read, in training as in the service."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from engine.content_readers import (
    AudioReader,
    CategoryReader,
    HashedReader,
    ImageReader,
    NumberReader,
    Reader,
    SentenceReader,
    TokenReader,
)
from engine.errors import BundleError
from engine.feature_spec import ContentSpec
from engine.item_content import ItemContent
from engine.sentence_encoder import SentenceEncoder

PRESENT = "present"


class ContentFeatures:
    """What a spec reads of items; raises BundleError if the spec needs a tokenizer or an encoder that is not given."""

    def __init__(
        self, spec: ContentSpec, tokenizer: bytes | None = None, sentence: SentenceEncoder | None = None
    ) -> None:
        self.spec = spec
        self.tokenizer = tokenizer
        self.sentence = sentence
        self._tokens = self._token_reader()
        self._readers = self._all_readers()

    @property
    def part_names(self) -> tuple[str, ...]:
        """The names of the arrays, in the order of "present" and without it."""
        return tuple(self._readers)

    @property
    def sizes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each array, without the batch."""
        return {name: reader.shape for name, reader in self._readers.items()} | {PRESENT: (len(self._readers),)}

    @property
    def vocabulary_size(self) -> int:
        """Token ids are below this; 0 is padding. 0 without text."""
        return self._tokens.vocabulary_size if self._tokens is not None else 0

    @property
    def bucket_count(self) -> int:
        """Buckets are 1 up to and with this; 0 is padding. 0 without hashed values."""
        return self.spec.hashed.buckets if self.spec.hashed is not None else 0

    def arrays(self, items: Sequence[ItemContent]) -> dict[str, npt.NDArray[np.generic]]:
        """Return one array [B,…] of each part, zeros where an item lacks it, and present [B,P].

        "tokens" and "hashed" are int64, the others float32. No item changes the row of another. Raises DataError that
        names what cannot be read.
        """
        arrays: dict[str, npt.NDArray[np.generic]] = {}
        present = np.zeros((len(items), len(self._readers)), dtype=np.float32)
        for column, (name, reader) in enumerate(self._readers.items()):
            rows = np.zeros((len(items), *reader.shape), dtype=reader.dtype)
            for row, item in enumerate(items):
                values = reader.read(item)
                if values is not None:
                    rows[row] = values
                    present[row, column] = 1.0
            arrays[name] = rows
        return arrays | {PRESENT: present}

    def has_content(self, item: ItemContent) -> bool:
        """Return whether the item has any part; images and sounds are not decoded for it."""
        return any(reader.is_in(item) for reader in self._readers.values())

    def _token_reader(self) -> TokenReader | None:
        if self.spec.text is None:
            return None
        if self.tokenizer is None:
            raise BundleError("the spec has text, but there is no tokenizer; train again")
        return TokenReader(self.spec.text, self.tokenizer)

    def _sentence_reader(self) -> SentenceReader | None:
        if self.spec.sentence is None:
            return None
        if self.sentence is None:
            raise BundleError("the spec has sentences, but there is no sentence encoder; train again")
        return SentenceReader(self.spec.sentence, self.sentence)

    def _all_readers(self) -> dict[str, Reader]:
        spec = self.spec
        readers: dict[str, Reader | None] = {
            "categories": CategoryReader(spec.categories) if spec.categories is not None else None,
            "hashed": HashedReader(spec.hashed) if spec.hashed is not None else None,
            "numbers": NumberReader(spec.numbers) if spec.numbers else None,
            "tokens": self._tokens,
            "image": ImageReader(spec.image) if spec.image is not None else None,
            "audio": AudioReader(spec.audio) if spec.audio is not None else None,
            "sentence": self._sentence_reader(),
        }
        return {name: reader for name, reader in readers.items() if reader is not None}
