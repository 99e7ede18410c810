"""A text's vector has length 1 and does not depend on what else is asked."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from engine.content_features import ContentFeatures
from engine.errors import BundleError, NetworkError
from engine.feature_spec import ContentSpec, SentenceSpec
from engine.item_content import ItemContent
from engine.sentence_encoder import SentenceEncoder, open_tokenizer
from training.feature_learning import train_tokenizer

WIDTH = 8
TEXTS = ["toy story", "heat and the story of heat", "", "été"]
TOKENIZER = train_tokenizer(TEXTS * 3, 100)
TABLE = np.random.default_rng(0).normal(size=(100, WIDTH)).astype(np.float32)


def network(*further: str) -> bytes:
    """A language model that looks each token up and knows no context."""
    names = ("input_ids", "attention_mask", *further)
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["b", "t"]) for name in names]
    nodes = [helper.make_node("Gather", ["table", "input_ids"], ["states"])]
    output = helper.make_tensor_value_info("states", TensorProto.FLOAT, ["b", "t", WIDTH])
    graph = helper.make_graph(nodes, "words", inputs, [output], [numpy_helper.from_array(TABLE, "table")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    encoded: bytes = model.SerializeToString()
    return encoded


ENCODER = SentenceEncoder(network(), TOKENIZER, max_tokens=6)


def test_a_vector_is_the_mean_over_tokens() -> None:
    (vector,) = ENCODER.encode(["toy story"])
    mean = TABLE[open_tokenizer(TOKENIZER).encode("toy story").ids].mean(axis=0)
    assert np.allclose(vector, mean / np.linalg.norm(mean), atol=1e-6)


@given(
    texts=st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | st.sampled_from(TEXTS), max_size=5)
)
def test_a_batch_equals_one_by_one(texts: list[str]) -> None:
    together = ENCODER.encode(texts)
    assert together.shape == (len(texts), ENCODER.width) == (len(texts), WIDTH)
    assert together.dtype == np.float32
    for row, text in enumerate(texts):
        assert ENCODER.encode([text])[0].tobytes() == together[row].tobytes()
        length = np.linalg.norm(together[row])
        assert length == pytest.approx(1, abs=1e-5) or length == 0


def test_token_types_are_given_where_they_are_wanted() -> None:
    typed = SentenceEncoder(network("token_type_ids"), TOKENIZER)
    assert np.array_equal(typed.encode(TEXTS[:1]), ENCODER.encode(TEXTS[:1]))
    with pytest.raises(NetworkError, match="positions"):
        SentenceEncoder(network("positions"), TOKENIZER)


def test_a_long_text_is_cut() -> None:
    assert np.array_equal(*ENCODER.encode(["toy " * 6, "toy " * 6 + "heat " * 500]))
    began = time.process_time()
    features().arrays([ItemContent({"title": "toy story " * 1_000_000})])
    assert time.process_time() - began < 0.5


def test_what_is_neither_network_nor_tokenizer_is_refused() -> None:
    with pytest.raises(BundleError, match=r"sentence\.onnx"):
        SentenceEncoder(b"no network", TOKENIZER)
    with pytest.raises(BundleError, match="tokenizer cannot be read"):
        SentenceEncoder(network(), b"no tokenizer")


def features(width: int = WIDTH) -> ContentFeatures:
    spec = ContentSpec(sentence=SentenceSpec(fields=("title",), width=width))
    return ContentFeatures(spec, sentence=ENCODER)


def test_sentences_are_features() -> None:
    arrays = features().arrays([ItemContent({"title": "toy story"}), ItemContent({"title": " "})])
    assert np.array_equal(arrays["sentence"][0], ENCODER.encode(["toy story"])[0])
    assert not arrays["sentence"][1].any()
    assert arrays["present"].tolist() == [[1], [0]]
    assert not features().has_content(ItemContent({"description": "not read"}))
    with pytest.raises(BundleError, match="gives 8 numbers, wanted 9"):
        features(width=9)
