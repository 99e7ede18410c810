from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from models import SimpleX

ITEMS = 12


@pytest.mark.parametrize("pooling", ["mean", "attention"])
def test_scores_are_cosines(pooling: str, histories_of) -> None:
    network = SimpleX(ITEMS, width=6, pooling=pooling).eval()
    users, items = network(*histories_of(network, [7, 3, 1]).inputs), network.item_vectors()
    torch.testing.assert_close(users[:, :-1].norm(dim=1), torch.ones(3))
    torch.testing.assert_close(items.norm(dim=1), torch.ones(ITEMS))
    assert (users @ items.T).abs().max() <= 1 + 1e-6
    assert network.unit_length
    assert (items[:, -1] == 0).all()


def test_the_user_vector_is_the_turned_mean_of_the_history(histories_of) -> None:
    network = SimpleX(ITEMS, width=6).eval()
    torch.nn.init.normal_(network.projection.weight)
    given = histories_of(network, [7, 3])
    means = (given.values[..., None] * given.vectors).sum(1) / given.lengths[:, None]
    expected = functional.normalize(means @ network.projection.weight.T, dim=1)
    torch.testing.assert_close(network(*given.inputs)[:, :-1], expected)


def test_attention_weighs_the_history_by_the_learned_query(histories_of) -> None:
    network = SimpleX(ITEMS, width=6, pooling="attention").eval()
    torch.nn.init.normal_(network.pooling.query)
    given = histories_of(network, [7, 3])
    for row, length in enumerate([7, 3]):
        weighted = given.values[row, :length, None] * given.vectors[row, :length]
        weights = (network.pooling.key(weighted).tanh() @ network.pooling.query).softmax(0)
        expected = functional.normalize(weights @ weighted, dim=0)
        torch.testing.assert_close(network(*given.inputs)[row, :-1], expected)


def test_attention_starts_as_the_mean(histories_of) -> None:
    attentive, mean = SimpleX(ITEMS, width=6, pooling="attention").eval(), SimpleX(ITEMS, width=6).eval()
    given = histories_of(mean, [7, 3])
    torch.testing.assert_close(attentive(*given.inputs), mean(*given.inputs))
