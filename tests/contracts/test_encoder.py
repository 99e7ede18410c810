"""What every encoder promises: a network in training, and the same network exported."""

from __future__ import annotations

from abc import ABC, abstractmethod

import exported
import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.encoder import Encoder, NetworkEncoder
from engine.network_check import check_network
from engine.runtime import Network
from engine.window import HistoryBatch
from models import RETRIEVERS, SequenceEncoder
from training.torch_stages import TorchEncoder

TOLERANCE = 1e-5
SEQUENCES = sorted(name for name, network in RETRIEVERS.items() if issubclass(network, SequenceEncoder))
each_network = pytest.mark.parametrize("name", sorted(RETRIEVERS))


def batch(name: str, lengths: list[int], padding: int = 0, seed: int = 0) -> HistoryBatch:
    """Random histories; each row depends on its own number and length only, not on its mates or the padding."""
    depth = exported.encoder(name).input_vectors().shape[1]
    width = max(lengths) + padding
    vectors = np.zeros((len(lengths), width, depth), dtype=np.float32)
    values, ages = np.zeros((2, len(lengths), width), dtype=np.float32)
    for row, length in enumerate(lengths):
        random = np.random.default_rng((seed, row))
        vectors[row, :length] = random.normal(size=(length, depth)) / depth**0.5
        values[row, :length] = random.random(length)
        ages[row, :length] = np.sort(random.random(length) * 10)[::-1]
    return HistoryBatch(vectors, values, ages, np.array(lengths, dtype=np.int64))


class EncoderContract(ABC):
    """Subclass with one fixture and inherit the tests."""

    @pytest.fixture(scope="class", params=sorted(RETRIEVERS))
    @classmethod
    def name(cls, request: pytest.FixtureRequest) -> str:
        return request.param

    @pytest.fixture(scope="class")
    @classmethod
    @abstractmethod
    def encoder(cls, name: str) -> Encoder: ...

    def test_it_gives_one_finite_vector_a_history(self, encoder: Encoder, name: str) -> None:
        vectors = encoder.encode(batch(name, [1, 5, 3]))
        assert vectors.shape == (3, exported.encoder(name).item_vectors().shape[1])
        assert vectors.dtype == np.float32
        assert np.isfinite(vectors).all()
        assert len(np.unique(vectors[:, 0])) == 3

    def test_it_is_a_function_of_all_that_it_reads(self, encoder: Encoder, name: str) -> None:
        before = encoder.encode(batch(name, [4]))
        for read in ("vectors", "values", *(["ages"] if name in SEQUENCES else [])):
            changed = batch(name, [4])
            # In one dimension of a vector only, for layer normalisation would take a shift of all out again.
            getattr(changed, read).reshape(4, -1)[1, 0] += 0.5
            assert np.abs(encoder.encode(changed) - before).max() > TOLERANCE, read

    @settings(max_examples=15, deadline=None)
    @given(lengths=st.lists(st.integers(1, 9), min_size=1, max_size=5), padding=st.integers(0, 7))
    def test_longer_padding_changes_nothing(
        self, encoder: Encoder, name: str, lengths: list[int], padding: int
    ) -> None:
        np.testing.assert_allclose(
            encoder.encode(batch(name, lengths, padding)), encoder.encode(batch(name, lengths)), atol=TOLERANCE
        )

    @settings(max_examples=15, deadline=None)
    @given(lengths=st.lists(st.integers(1, 9), min_size=2, max_size=5))
    def test_batch_mates_change_nothing(self, encoder: Encoder, name: str, lengths: list[int]) -> None:
        alone = encoder.encode(batch(name, lengths[:1]))
        np.testing.assert_allclose(encoder.encode(batch(name, lengths))[:1], alone, atol=TOLERANCE)


class TestTorchEncoder(EncoderContract):
    @pytest.fixture(scope="class")
    @classmethod
    def encoder(cls, name: str) -> Encoder:
        return TorchEncoder(exported.encoder(name), "cpu")


class TestNetworkEncoder(EncoderContract):
    @pytest.fixture(scope="class")
    @classmethod
    def encoder(cls, name: str) -> Encoder:
        return NetworkEncoder(Network(exported.exported_encoder(name), name))

    def test_a_bundle_may_hold_it(self, name: str) -> None:
        check_network(exported.exported_encoder(name), name)

    def test_it_computes_what_the_network_in_training_computes(self, encoder: Encoder, name: str) -> None:
        for lengths in ([1], [30, 2], [7] * 9):
            expected = TorchEncoder(exported.encoder(name), "cpu").encode(batch(name, lengths))
            np.testing.assert_allclose(encoder.encode(batch(name, lengths)), expected, atol=TOLERANCE)


@pytest.mark.parametrize("name", SEQUENCES)
@torch.no_grad()
def test_states_do_not_look_ahead(name: str) -> None:
    trained, given_batch = exported.encoder(name), batch(name, [9])
    tensors = [torch.from_numpy(array) for array in (given_batch.vectors, given_batch.values, given_batch.ages)]
    before = trained.states(*tensors, torch.tensor([9]))
    for tensor in tensors:
        tensor[:, 6:] = torch.rand_like(tensor[:, 6:]) * 1e-3
    after = trained.states(*tensors, torch.tensor([9]))
    torch.testing.assert_close(after[:, :5], before[:, :5], atol=TOLERANCE, rtol=0)
    assert (after[:, 7:] - before[:, 7:]).abs().max() > TOLERANCE


@each_network
@torch.no_grad()
def test_input_vectors_end_with_padding_and_output_vectors_fit(name: str) -> None:
    network = exported.encoder(name)
    assert len(network.input_vectors()) == exported.ITEMS + 1
    assert not network.input_vectors()[-1].any()
    assert len(network.item_vectors()) == exported.ITEMS


@each_network
def test_an_exported_network_is_as_small_with_any_catalogue(name: str) -> None:
    encoded = exported.exported_encoder(name)
    assert len(encoded) < 1_000_000
    sizes = {size for tensor in onnx.load_from_string(encoded).graph.initializer for size in tensor.dims}
    assert not sizes & {exported.ITEMS, exported.ITEMS + 1}
