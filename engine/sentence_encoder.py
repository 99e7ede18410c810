"""SentenceEncoder: a frozen language model that turns text into a vector of its meaning."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from engine.errors import BundleError
from engine.runtime import Network

Floats = npt.NDArray[np.float32]


class SentenceEncoder:
    """A sentence-transformers model: tokens -> BERT -> mean over tokens -> unit length.

    encoded_onnx takes input_ids, attention_mask and perhaps token_type_ids, all int64 [B,T], and gives
    last_hidden_state [B,T,S]. Raises BundleError if it or the tokenizer (a tokenizer.json) cannot be loaded.
    """

    def __init__(self, encoded_onnx: bytes, tokenizer: bytes, max_tokens: int = 64) -> None:
        self.max_tokens = max_tokens
        self._network = Network(encoded_onnx, "sentence.onnx")
        self._tokenizer = open_tokenizer(tokenizer)
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_tokens)
        self._width = int(self._states([0]).shape[1])

    @property
    def width(self) -> int:
        """How many numbers a vector has."""
        return self._width

    def encode(self, texts: Sequence[str]) -> Floats:
        """Return vectors [B,S] of length 1, zeros for a text without tokens."""
        vectors = np.zeros((len(texts), self._width), dtype=np.float32)
        # One at a time: padding to the longest costs more than a batch saves on one core, and a text's vector is then
        # the same, to the last bit, whatever else is asked.
        for row, text in enumerate(texts):
            vectors[row] = self._encode(text)
        return vectors

    def _encode(self, text: str) -> Floats:
        ids = self._tokenizer.encode(text).ids
        if not ids:
            return np.zeros(self._width, dtype=np.float32)
        mean = self._states(ids).mean(axis=0)
        unit: Floats = mean / np.float32(max(float(np.linalg.norm(mean)), 1e-12))
        return unit

    def _states(self, ids: Sequence[int]) -> Floats:
        rows = np.array([ids], dtype=np.int64)
        given = {"input_ids": rows, "attention_mask": np.ones_like(rows), "token_type_ids": np.zeros_like(rows)}
        states: Floats = self._network.run(**{name: given[name] for name in self._network.inputs if name in given})[0]
        return states


def open_tokenizer(encoded: bytes) -> Tokenizer:
    """Decode a tokenizer.json; raises BundleError on anything else."""
    try:
        tokenizer = Tokenizer.from_str(encoded.decode())
    except Exception as error:  # tokenizers raises Exception itself
        raise BundleError(f"the tokenizer cannot be read ({error}); train again") from error
    # A text that says "[PAD]" means these five characters.
    tokenizer.encode_special_tokens = True
    return tokenizer
