from __future__ import annotations

import torch
from torch.nn import functional

from models import RecurrentAutoencoder

ITEMS = 12


def network() -> RecurrentAutoencoder:
    return RecurrentAutoencoder(ITEMS, width=6, hidden=5, layers=2, dropout=0.0).eval()


def test_a_position_is_rebuilt_from_the_code_and_earlier_events_only(histories_of) -> None:
    trained = network()
    given = histories_of(trained, [8])
    users = trained(*given.inputs)
    before = trained.reconstructions(users, *given.inputs)
    vectors, values, ages, lengths = given.inputs
    changed = (torch.cat((each[:, :4], torch.rand_like(each[:, 4:])), 1) for each in (vectors, values, ages))
    after = trained.reconstructions(users, *changed, lengths)
    assert before.shape == (1, 8, 7)
    torch.testing.assert_close(after[:, :5], before[:, :5])
    assert (after[:, 5:] - before[:, 5:]).abs().amax(-1).min() > 1e-6


def test_every_position_hangs_on_the_code(histories_of) -> None:
    trained = network()
    given = histories_of(trained, [8])
    users = trained(*given.inputs)
    change = trained.reconstructions(users + 0.5, *given.inputs) - trained.reconstructions(users, *given.inputs)
    assert (change[..., :-1].abs().amax(-1) > 0.01).all()
    assert (change[..., -1] == 0).all()


def test_without_the_decoder_a_position_is_scored_by_the_code_alone(histories_of) -> None:
    trained = network()
    torch.nn.init.zeros_(trained.output.weight)
    given = histories_of(trained, [8, 2])
    users = trained(*given.inputs)
    rebuilt = trained.reconstructions(users, *given.inputs)
    torch.testing.assert_close(rebuilt, users[:, None].expand_as(rebuilt))


def test_training_drops_whole_events_of_the_decoder() -> None:
    forgotten = network().train()._forget(torch.ones(1, 1_000, 6))
    assert ((forgotten == 0) | (forgotten == 2)).all()
    assert (forgotten.amax(-1) == forgotten.amin(-1)).all()
    assert 0.4 < (forgotten[0, :, 0] == 0).float().mean() < 0.6


def test_it_learns_to_tell_sequences_apart(histories_of) -> None:
    trained = RecurrentAutoencoder(ITEMS, width=8, hidden=8, dropout=0.0).train()
    given = histories_of(trained, [4, 4, 4])
    optimiser = torch.optim.Adam(trained.parameters(), lr=0.03)
    for _ in range(120):
        vectors = functional.embedding(given.indices, trained.input_vectors())
        inputs = (vectors, *given.inputs[1:])
        rebuilt = trained.reconstructions(trained(*inputs), *inputs)
        loss = functional.cross_entropy((rebuilt @ trained.item_vectors().T).flatten(0, 1), given.indices.flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss < 0.3
