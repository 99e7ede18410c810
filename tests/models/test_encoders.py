"""What holds for each first-stage network, with the options that the contract suite does not try."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch.nn import functional

from engine.runtime import Network
from models import (
    RETRIEVERS,
    Autoencoder,
    GRU4Rec,
    MatrixFactorisation,
    MultVAE,
    RecurrentAutoencoder,
    SASRec,
    SequenceEncoder,
    SimpleX,
    TwoTower,
    UserEncoder,
)
from training.export import export_encoder

ITEMS = 40
TOLERANCE = 1e-5
VARIANTS: dict[str, Callable[[], UserEncoder]] = {
    "sasrec": lambda: SASRec(ITEMS, width=8, dropout=0.0),
    "gru4rec": lambda: GRU4Rec(ITEMS, width=6, hidden=5, layers=2, dropout=0.0),
    "recurrent autoencoder": lambda: RecurrentAutoencoder(ITEMS, width=6, hidden=5, layers=2, dropout=0.0),
    "linear bottleneck": lambda: RecurrentAutoencoder(ITEMS, width=6, hidden=5, dropout=0.0, activation="linear"),
    "deep autoencoder": lambda: Autoencoder(ITEMS, width=8, depth=2, activation="sigmoid", normalise="mean"),
    "multvae": lambda: MultVAE(ITEMS, width=6, hidden=8),
    "multdae": lambda: MultVAE(ITEMS, width=6, hidden=8, beta=0.0),
    "recvae": lambda: MultVAE(ITEMS, width=6, hidden=8, blocks=3, gamma=0.01),
    "matrix factorisation": lambda: MatrixFactorisation(ITEMS, width=8, regularise_by_length=False),
    "two_tower": lambda: TwoTower(ITEMS, width=8, hidden=6, depth=2),
    "simplex": lambda: SimpleX(ITEMS, width=8),
    "attentive simplex": lambda: SimpleX(ITEMS, width=8, pooling="attention"),
}
EXPORTED = ("gru4rec", "attentive simplex")
SEQUENTIAL = ("sasrec", "gru4rec", "recurrent autoencoder", "linear bottleneck")
each_variant = pytest.mark.parametrize("name", VARIANTS)


def shaken(name: str) -> UserEncoder:
    """Return a network none of whose weights stand at a special place such as zero."""
    network = VARIANTS[name]()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return network.eval()


@each_variant
def test_batch_mates_and_padding_change_nothing(name: str, histories_of) -> None:
    network = shaken(name)
    alone = network(*histories_of(network, [5]).inputs)
    mates = network(*histories_of(network, [5, 9, 1]).inputs)
    padded = network(*histories_of(network, [5], padding=4).inputs)
    torch.testing.assert_close(mates[:1], alone, atol=TOLERANCE, rtol=0)
    torch.testing.assert_close(padded, alone, atol=TOLERANCE, rtol=0)


@each_variant
def test_shapes_fit_each_other_and_numbers_are_finite(name: str, histories_of) -> None:
    network = shaken(name)
    users = network(*histories_of(network, [1, 30]).inputs)
    assert users.shape == (2, network.item_vectors().shape[1])
    assert len(network.item_vectors()) == ITEMS
    assert torch.isfinite(users).all()
    assert torch.equal(network.input_vectors()[ITEMS], torch.zeros_like(network.input_vectors()[ITEMS]))


@each_variant
def test_order_counts_where_a_network_reads_a_sequence(name: str, histories_of) -> None:
    network = shaken(name)
    vectors, values, ages, lengths = histories_of(network, [6]).inputs
    change = network(vectors.flip(1), values.flip(1), ages, lengths) - network(vectors, values, ages, lengths)
    assert (change.abs().max() > 1e-3) == isinstance(network, SequenceEncoder)


@pytest.mark.parametrize("name", SEQUENTIAL)
def test_states_see_no_later_event_and_no_padding(name: str, histories_of) -> None:
    network = shaken(name)
    assert isinstance(network, SequenceEncoder)
    vectors, values, ages, lengths = histories_of(network, [9]).inputs
    before = network.states(vectors, values, ages, lengths)
    vectors, values, ages = (
        torch.cat((each[:, :5], torch.rand_like(each[:, 5:])), 1) for each in (vectors, values, ages)
    )
    after = network.states(vectors, values, ages, lengths)
    torch.testing.assert_close(after[:, :5], before[:, :5], atol=TOLERANCE, rtol=0)
    assert (after[:, 5:] - before[:, 5:]).abs().max() > TOLERANCE


@pytest.mark.parametrize("name", SEQUENTIAL)
def test_an_answer_is_the_state_after_the_newest_event(name: str, histories_of) -> None:
    network = shaken(name)
    assert isinstance(network, SequenceEncoder)
    given = histories_of(network, [9, 1, 5], padding=2).inputs
    states = network.states(*given)[torch.arange(3), given[-1] - 1]
    torch.testing.assert_close(network(*given), states, atol=TOLERANCE, rtol=0)


@each_variant
def test_every_parameter_learns(name: str, histories_of) -> None:
    network = shaken(name).train()
    given = histories_of(network, [5, 9, 2])
    vectors = functional.embedding(given.indices, network.input_vectors())
    states = network(vectors, *given.inputs[1:])
    if isinstance(network, RecurrentAutoencoder):
        states = network.reconstructions(states, vectors, *given.inputs[1:])[:, 1]
    loss = functional.cross_entropy(states @ network.item_vectors().T, torch.tensor([3, 1, 4]))
    loss.backward()
    still = [name for name, each in network.named_parameters() if each.grad is None or not each.grad.abs().sum() > 0]
    assert still == []
    assert all(torch.isfinite(each.grad).all() for each in network.parameters() if each.grad is not None)


@each_variant
def test_a_network_that_is_trained_can_be_copied(name: str, histories_of) -> None:
    network = shaken(name).train()
    network(*histories_of(network, [3]).inputs)
    copied = copy.deepcopy(network).eval()
    given = histories_of(network, [3]).inputs
    torch.testing.assert_close(copied(*given), network.eval()(*given))


@pytest.mark.parametrize("name", EXPORTED)
def test_an_exported_network_computes_the_same(name: str, histories_of) -> None:
    network = shaken(name)
    exported = Network(export_encoder(network), name)
    for lengths in ([1], [30], [4, 9, 1]):
        given = histories_of(network, lengths)
        arrays = dict(
            zip(("vectors", "values", "ages", "lengths"), (each.numpy() for each in given.inputs), strict=True)
        )
        encoded = exported.run(**{each: arrays[each] for each in exported.inputs})
        np.testing.assert_allclose(encoded, network(*given.inputs).detach().numpy(), atol=TOLERANCE)


@pytest.mark.parametrize(
    ("model", "option", "value"),
    [
        ("gru4rec", "layers", 0),
        ("recurrent_autoencoder", "activation", "cubic"),
        ("recurrent_autoencoder", "event_dropout", 1.5),
        ("autoencoder", "normalise", "max"),
        ("autoencoder", "activation", "cubic"),
        ("autoencoder", "depth", -1),
        ("multvae", "hidden", -7),
        ("multvae", "beta", -0.5),
        ("matrix_factorisation", "regularisation", 0.0),
        ("matrix_factorisation", "steps", 0),
        ("two_tower", "temperature", -2.0),
        ("simplex", "pooling", "max"),
        ("simplex", "dropout", 1.0),
    ],
)
def test_a_wrong_option_is_named(model: str, option: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"{option}.*{value}"):
        RETRIEVERS[model](ITEMS, **{option: value})
