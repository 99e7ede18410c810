from __future__ import annotations

import torch
from torch.distributions import Normal, kl_divergence
from torch.nn import functional

from models import MultVAE

ITEMS = 12


def liked(histories_of, network):
    """Return histories all of whose values are 1, and their multi-hot rows at length 1."""
    given = histories_of(network, [7, 3])
    real = given.indices < ITEMS
    rows = torch.zeros(2, ITEMS + 1).scatter(1, given.indices, 1.0)[:, :ITEMS]
    return (given.vectors, real.float(), given.ages, given.lengths), functional.normalize(rows, dim=1)


def code_of(network: MultVAE, rows: torch.Tensor) -> torch.Tensor:
    return network.bottleneck(torch.tanh(rows @ network.encoder_items.weight + network.bias))


def test_it_is_multvae_on_multi_hot_rows(histories_of) -> None:
    network = MultVAE(ITEMS, width=4, hidden=6).eval()
    torch.nn.init.normal_(network.item_bias)
    inputs, rows = liked(histories_of, network)
    assert network.decoder is not None
    hidden = torch.tanh(network.decoder(code_of(network, rows)[:, :4]))
    expected = hidden @ network.decoder_items.weight.T + network.item_bias
    torch.testing.assert_close(network(*inputs) @ network.item_vectors().T, expected)


def test_without_the_variational_part_it_is_multdae(histories_of) -> None:
    network = MultVAE(ITEMS, width=4, hidden=6, beta=0.0, decoder=0).train()
    inputs, rows = liked(histories_of, network)
    torch.testing.assert_close(network(*inputs)[:, :-1], code_of(network, rows).tanh())
    assert network.penalty() is None


def test_training_samples_around_the_mean(histories_of) -> None:
    network = MultVAE(ITEMS, width=4, hidden=6, decoder=0).train()
    inputs, rows = liked(histories_of, network)
    with torch.no_grad():
        mean, log_variance = code_of(network, rows).chunk(2, dim=1)
        samples = network(*(each.repeat_interleave(4_000, 0) for each in inputs))[:, :-1].unflatten(0, (2, 4_000))
    torch.testing.assert_close(samples.mean(1), mean, atol=0.1, rtol=0)
    torch.testing.assert_close(samples.std(1), (0.5 * log_variance).exp(), atol=0.1, rtol=0)
    torch.testing.assert_close(network.bottleneck.bias[4:].exp().sqrt(), torch.full((4,), 0.1))


def test_the_penalty_is_beta_times_the_divergence(histories_of) -> None:
    network = MultVAE(ITEMS, width=4, hidden=6, beta=0.3, anneal_steps=0).train()
    inputs, rows = liked(histories_of, network)
    assert network.penalty() is None
    network(*inputs)
    mean, log_variance = code_of(network, rows).chunk(2, dim=1)
    divergence = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), Normal(0.0, 1.0)).sum(1)
    # Seven and three events: the likelihood is a mean over events, so this is the sum over users for each event.
    torch.testing.assert_close(network.penalty(), 0.3 * divergence.sum() / 10)


def test_with_gamma_a_long_history_is_held_closer_to_the_prior(histories_of) -> None:
    network = MultVAE(ITEMS, width=4, hidden=6, gamma=0.01, anneal_steps=0).train()
    inputs, rows = liked(histories_of, network)
    network(*inputs)
    mean, log_variance = code_of(network, rows).chunk(2, dim=1)
    divergence = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), Normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(network.penalty(), (0.01 * torch.tensor([7.0, 3.0]) * divergence).sum() / 10)


def test_beta_rises_with_training_passes_only(histories_of) -> None:
    network = MultVAE(ITEMS, width=4, hidden=6, anneal_steps=4).train()
    inputs, _ = liked(histories_of, network)
    penalties = []
    for _ in range(6):
        network.train()(*inputs)
        penalties.append(network.penalty())
        network.eval()(*inputs)
    shares = torch.stack(penalties) / penalties[-1]
    torch.testing.assert_close(shares, torch.tensor([0.25, 0.5, 0.75, 1.0, 1.0, 1.0]))
    assert network.state_dict()["passes"] == 6


def test_recvae_s_encoder_adds_up_its_layers(histories_of) -> None:
    network = MultVAE(ITEMS, width=4, hidden=6, blocks=2, decoder=0).eval()
    inputs, rows = liked(histories_of, network)
    first = network.norms[0](functional.silu(rows @ network.encoder_items.weight))
    second = network.norms[1](functional.silu(network.blocks[0](first) + first))
    third = network.norms[2](functional.silu(network.blocks[1](second) + first + second))
    torch.testing.assert_close(network(*inputs)[:, :-1], network.bottleneck(third)[:, :4])
