"""A sentence-transformers model in a local folder becomes what engine/sentence_encoder.py runs."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim

from engine.errors import ConfigError
from training.export import onnx_of

STAGES = {"Transformer", "Pooling", "Normalize"}
MEAN = "pooling_mode_mean_tokens"


class LastStates(nn.Module):
    """A language model that takes token ids [B,T] and their mask [B,T], and gives the last hidden states [B,T,S]."""

    def __init__(self, language_model: nn.Module) -> None:
        super().__init__()
        self.language_model = language_model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return the last hidden states [B,T,S]."""
        states: Tensor = self.language_model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return states


@lru_cache(maxsize=1)
def export_sentence_model(folder: Path) -> tuple[bytes, bytes]:
    """Return the ONNX file and the tokenizer.json of the model in the folder; nothing is downloaded.

    Raises ConfigError if there is no such model, if it is not transformer -> mean -> unit length, or if the extra
    "sentence" is not installed.
    """
    _require_mean_pooling(folder)
    tokenizer = _read(folder, "tokenizer.json")
    try:
        from transformers import AutoModel
    except ImportError as error:
        raise ConfigError("a sentence model needs transformers; pip install 'liverec[sentence]'") from error
    try:
        # Eager attention becomes plain matrix products, which ONNX Runtime ran a fifth faster than the fused one.
        language_model = AutoModel.from_pretrained(  # nosec B615 # a local folder: nothing is fetched
            folder, local_files_only=True, attn_implementation="eager"
        )
    except (OSError, ValueError) as error:
        raise ConfigError(f"{folder}: transformers cannot load the model ({error}); name another folder") from error
    return exported(LastStates(language_model.float())), tokenizer


def exported(network: LastStates) -> bytes:
    """Return the ONNX file of input_ids [B,T], attention_mask [B,T] -> last_hidden_state [B,T,S]."""
    example = torch.ones(2, 7, dtype=torch.int64)
    sizes: dict[int, object] = {0: Dim.DYNAMIC, 1: Dim.DYNAMIC}
    names = ("input_ids", "attention_mask")
    return onnx_of(network, (example, example.clone()), names, (sizes, sizes), ["last_hidden_state"])


def _require_mean_pooling(folder: Path) -> None:
    stages = _read_json(folder, "modules.json")
    kinds = [str(stage.get("type")).rsplit(".", 1)[-1] for stage in stages]
    pooling = [stage.get("path") for stage, kind in zip(stages, kinds, strict=True) if kind == "Pooling"]
    if not set(kinds) <= STAGES or len(pooling) != 1:
        raise ConfigError(f"{folder} is {' -> '.join(kinds)}; name a model that is {' -> '.join(sorted(STAGES))}")
    config = _read_json(folder, f"{pooling[0]}/config.json")
    modes = {name for name, value in config.items() if name.startswith("pooling_mode") and value in (True, "mean")}
    if modes not in ({MEAN}, {"pooling_mode"}):
        raise ConfigError(f"{folder} pools by {sorted(modes)}; name a model that takes the mean over tokens")


def _read_json(folder: Path, name: str) -> Any:  # noqa: ANN401 (lists and objects of another library's making)
    try:
        return json.loads(_read(folder, name))
    except ValueError as error:
        raise ConfigError(f"{folder / name} is no JSON ({error}); name another folder") from error


def _read(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except OSError as error:
        raise ConfigError(f"{folder} has no {name}; name the folder of a sentence-transformers model") from error
