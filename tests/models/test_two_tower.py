from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from models import TwoTower

ITEMS = 12


def test_a_score_is_the_tempered_cosine_of_two_dense_networks(histories_of) -> None:
    network = TwoTower(ITEMS, width=6, hidden=5, temperature=4.0).eval()
    given = histories_of(network, [7, 3])
    rows = torch.zeros(2, ITEMS + 1).scatter(1, given.indices, given.values)[:, :ITEMS]
    means = rows @ network.history_items.weight / torch.tensor([[7.0], [3.0]])
    user_in, _, _, user_out = network.user_tower
    item_in, _, _, item_out = network.item_tower
    users = user_out(user_in(means).relu())
    items = item_out(item_in(network.items.weight).relu())
    expected = 4.0 * functional.cosine_similarity(users[:, None], items[None], dim=-1)
    torch.testing.assert_close(network(*given.inputs) @ network.item_vectors().T, expected)


def test_with_a_fixed_temperature_of_one_scores_are_cosines(histories_of) -> None:
    network = TwoTower(ITEMS, width=6, temperature=1.0, learn_temperature=False).eval()
    scores = network(*histories_of(network, [7, 3]).inputs) @ network.item_vectors().T
    assert scores.abs().max() <= 1 + 1e-6
    assert not network.log_temperature.requires_grad
    assert (network.item_vectors()[:, -1] == 0).all()


@pytest.mark.parametrize(("depth", "layers"), [(0, 1), (1, 4), (3, 10)])
def test_depth_counts_hidden_layers(depth: int, layers: int) -> None:
    network = TwoTower(ITEMS, width=6, hidden=5, depth=depth)
    assert len(network.user_tower) == len(network.item_tower) == layers
