"""What every encoder promises: a network in training, and the same network exported."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.encoder import Encoder, NetworkEncoder
from engine.runtime import Network
from engine.window import HistoryBatch
from models import RETRIEVERS, UserEncoder
from training.export import export_encoder
from training.torch_stages import TorchEncoder

ITEMS, WIDTH = 12, 8
TOLERANCE = 1e-5


def network(name: str) -> UserEncoder:
    torch.manual_seed(0)
    return RETRIEVERS[name](ITEMS, width=WIDTH, heads=2).eval()  # type: ignore[call-arg]


def batch(lengths: list[int], padding: int = 0, seed: int = 0) -> HistoryBatch:
    """Random histories; each row depends on its own number and length only, not on its mates or the padding."""
    width = max(lengths) + padding
    vectors = np.zeros((len(lengths), width, WIDTH), dtype=np.float32)
    values, ages = np.zeros((2, len(lengths), width), dtype=np.float32)
    for row, length in enumerate(lengths):
        random = np.random.default_rng((seed, row))
        vectors[row, :length] = random.normal(size=(length, WIDTH))
        values[row, :length] = random.random(length)
        ages[row, :length] = np.sort(random.random(length) * 10)[::-1]
    indices = np.zeros((len(lengths), width), dtype=np.int64)
    return HistoryBatch(indices, vectors, values, ages, np.array(lengths, dtype=np.int64))


class EncoderContract(ABC):
    """Subclass with one fixture and inherit the tests."""

    @pytest.fixture(scope="class", params=sorted(RETRIEVERS))
    @classmethod
    @abstractmethod
    def encoder(cls, request: pytest.FixtureRequest) -> Encoder: ...

    def test_it_gives_one_finite_vector_a_history(self, encoder: Encoder) -> None:
        vectors = encoder.encode(batch([1, 5, 3]))
        assert vectors.shape == (3, WIDTH + 1)
        assert vectors.dtype == np.float32
        assert np.isfinite(vectors).all()

    def test_it_is_a_function_of_all_its_inputs(self, encoder: Encoder) -> None:
        given_batch = batch([4])
        before = encoder.encode(given_batch)
        given_batch.values[0, 3] += 0.5
        assert np.abs(encoder.encode(given_batch) - before).max() > TOLERANCE

    @settings(max_examples=20, deadline=None)
    @given(lengths=st.lists(st.integers(1, 9), min_size=1, max_size=5), padding=st.integers(0, 7))
    def test_longer_padding_changes_nothing(self, encoder: Encoder, lengths: list[int], padding: int) -> None:
        np.testing.assert_allclose(
            encoder.encode(batch(lengths, padding)), encoder.encode(batch(lengths)), atol=TOLERANCE
        )

    @settings(max_examples=20, deadline=None)
    @given(lengths=st.lists(st.integers(1, 9), min_size=2, max_size=5))
    def test_batch_mates_change_nothing(self, encoder: Encoder, lengths: list[int]) -> None:
        alone = encoder.encode(batch(lengths[:1]))
        np.testing.assert_allclose(encoder.encode(batch(lengths))[:1], alone, atol=TOLERANCE)


class TestTorchEncoder(EncoderContract):
    @pytest.fixture(scope="class", params=sorted(RETRIEVERS))
    @classmethod
    def encoder(cls, request: pytest.FixtureRequest) -> Encoder:
        return TorchEncoder(network(request.param), "cpu")


class TestNetworkEncoder(EncoderContract):
    @pytest.fixture(scope="class", params=sorted(RETRIEVERS))
    @classmethod
    def encoder(cls, request: pytest.FixtureRequest) -> Encoder:
        return NetworkEncoder(Network(export_encoder(network(request.param)), "encoder.onnx"))

    @pytest.mark.parametrize("name", sorted(RETRIEVERS))
    def test_it_computes_what_the_network_in_training_computes(self, encoder: Encoder, name: str) -> None:
        for lengths in ([1], [30, 2], [7] * 9):
            expected = TorchEncoder(network(name), "cpu").encode(batch(lengths))
            np.testing.assert_allclose(encoder.encode(batch(lengths)), expected, atol=TOLERANCE)


@pytest.mark.parametrize("name", sorted(RETRIEVERS))
def test_states_do_not_look_ahead(name: str) -> None:
    trained, given_batch = network(name), batch([9])
    tensors = [torch.from_numpy(array) for array in (given_batch.vectors, given_batch.values, given_batch.ages)]
    before = trained.states(*tensors, torch.tensor([9]))
    for tensor in tensors:
        tensor[:, 6:] = torch.rand_like(tensor[:, 6:]) * 1e-3
    after = trained.states(*tensors, torch.tensor([9]))
    torch.testing.assert_close(after[:, :5], before[:, :5], atol=TOLERANCE, rtol=0)
    assert (after[:, 7:] - before[:, 7:]).abs().max() > TOLERANCE


@pytest.mark.parametrize("name", sorted(RETRIEVERS))
def test_an_exported_network_is_as_small_with_any_catalogue(name: str) -> None:
    sizes = [len(export_encoder(RETRIEVERS[name](count))) for count in (10, 5_000)]  # type: ignore[call-arg]
    assert sizes[0] == pytest.approx(sizes[1], rel=0.01)
    assert sizes[1] < 1_000_000
