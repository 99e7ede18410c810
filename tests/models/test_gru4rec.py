from __future__ import annotations

import torch
from torch import nn

from models import GRU4Rec
from models.event_embedding import EventEmbedding


def test_states_are_those_of_a_gru_over_the_events(histories_of) -> None:
    network = GRU4Rec(12, width=6, hidden=5, layers=2, dropout=0.0).eval()
    alone = nn.GRU(6, 5, 2, batch_first=True)
    alone.load_state_dict(network.recurrence.gru.state_dict())
    given = histories_of(network, [7, 3])
    states, _ = alone(network.events(*given.inputs[:3]))
    torch.testing.assert_close(network.states(*given.inputs)[..., :-1], network.projection(states))


def test_the_user_vector_is_the_state_at_the_newest_event(histories_of) -> None:
    network = GRU4Rec(12, width=6, hidden=5).eval()
    given = histories_of(network, [7, 3])
    states = network.states(*given.inputs)
    torch.testing.assert_close(network(*given.inputs), torch.stack((states[0, 6], states[1, 2])))


def test_the_last_dimension_is_the_item_s_bias(histories_of) -> None:
    network = GRU4Rec(12, width=6, hidden=5).eval()
    given = histories_of(network, [4])
    before = network(*given.inputs) @ network.item_vectors().T
    with torch.no_grad():
        network.item_bias[3] += 1.5
    change = network(*given.inputs) @ network.item_vectors().T - before
    torch.testing.assert_close(change, torch.eye(12)[3:4] * 1.5)


def test_an_event_is_its_vector_and_what_is_known_of_it() -> None:
    embedding = EventEmbedding(4)
    vectors, values, ages = torch.randn(1, 2, 4), torch.tensor([[1.0, 0.25]]), torch.tensor([[1.0, 0.0]])
    value = embedding.value_projection(torch.tensor([[[2.0, 3.0], [-1.0, 0.0]]]))
    gap = embedding.gap_projection(torch.tensor([[[0.0, 0.0], [1.0, torch.log(torch.tensor(86_401.0)) / 10]]]))
    torch.testing.assert_close(embedding(vectors, values, ages), 2 * vectors + value + gap)
