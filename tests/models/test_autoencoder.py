from __future__ import annotations

import pytest
import torch

from models import Autoencoder

ITEMS = 12


def dense_rows(given) -> torch.Tensor:
    """Return values as rows [B,N] of the rating matrix, zero where there is none."""
    return torch.zeros(len(given.indices), ITEMS + 1).scatter(1, given.indices, given.values)[:, :ITEMS]


def test_at_first_it_is_autorec_on_the_matrix_of_values(histories_of) -> None:
    network = Autoencoder(ITEMS, width=5, activation="sigmoid", normalise="none").eval()
    torch.nn.init.normal_(network.bias)
    torch.nn.init.normal_(network.item_bias)
    given = histories_of(network, [7, 3])
    hidden = torch.sigmoid(dense_rows(given) @ network.encoder_items.weight + network.bias)
    expected = hidden @ network.decoder_items.weight.T + network.item_bias
    torch.testing.assert_close(network(*given.inputs) @ network.item_vectors().T, expected)


def test_presence_and_value_count_apart(histories_of) -> None:
    network = Autoencoder(ITEMS, width=5, activation="identity", normalise="none").eval()
    torch.nn.init.normal_(network.pooling.gains)
    given = histories_of(network, [7, 3])
    there = torch.zeros(2, ITEMS + 1).scatter(1, given.indices, 1.0)[:, :ITEMS]
    signed = (2 * dense_rows(given) - 1) * there
    table, (presence, value) = network.encoder_items.weight, network.pooling.gains
    expected = (there @ table) * presence + (signed @ table) * value
    torch.testing.assert_close(network(*given.inputs)[:, :-1], expected)


@pytest.mark.parametrize(("normalise", "power"), [("none", 0.0), ("l2", 0.5), ("mean", 1.0)])
def test_normalising_divides_by_a_power_of_the_length(normalise: str, power: float, histories_of) -> None:
    network = Autoencoder(ITEMS, width=5, activation="identity", normalise=normalise).eval()
    given = histories_of(network, [7, 3])
    expected = dense_rows(given) @ network.encoder_items.weight / torch.tensor([[7.0], [3.0]]) ** power
    torch.testing.assert_close(network(*given.inputs)[:, :-1], expected)


def test_further_layers_follow_the_first(histories_of) -> None:
    network = Autoencoder(ITEMS, width=5, depth=1, normalise="none").eval()
    given = histories_of(network, [7, 3])
    first = torch.tanh(dense_rows(given) @ network.encoder_items.weight)
    torch.testing.assert_close(network(*given.inputs)[:, :-1], torch.tanh(network.layers[0](first)))
