from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from models import TargetAttention
from models.attention_weights import attention_weights

LENGTHS = [6, 2, 0]


def inputs(padding: int = 0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    real = torch.arange(6) < torch.tensor(LENGTHS)[:, None]
    history = torch.randn(3, 6, 4, generator=generator) * real[..., None]
    values, ages = torch.rand(2, 3, 6, generator=generator) * real
    pair = [torch.randn(3, 4, generator=generator), torch.randn(3, 5, 4, generator=generator)]
    history = functional.pad(history, (0, 0, 0, padding))
    values, ages = (functional.pad(each, (0, padding)) for each in (values, ages))
    features = torch.randn(3, 5, 3, generator=generator)
    return [*pair, features, history, values, ages.sort(descending=True).values, torch.tensor(LENGTHS)]


def shaken() -> TargetAttention:
    network = TargetAttention(4, 3, hidden=6, attention_width=5).eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return network


def test_attention_sums_to_one_over_real_events_only() -> None:
    scores, attention = shaken()(*inputs())
    assert torch.isfinite(scores).all()
    assert attention.shape == (3, 5, 6)
    torch.testing.assert_close(attention.sum(-1), torch.tensor([1.0, 1.0, 0.0])[:, None].expand(3, 5))
    assert (attention[1, :, 2:] == 0).all()
    assert (attention[1, :, :2] > 0).all()


def test_attention_is_the_softmax_of_the_weighted_cosine_and_the_event_s_circumstances() -> None:
    network, given = shaken(), inputs()
    _, candidates, _, history, values, ages, _ = given
    items, targets = network.history_projection(history[0]), network.candidate_projection(candidates[0])
    lengths = targets.norm(dim=-1)[:, None] * items.norm(dim=-1)
    cosines = torch.einsum("d,ld,kd->kl", network.similarity_weights, items, targets) / lengths
    positions = torch.tensor([5.0, 4.0, 3.0, 2.0, 1.0, 0.0])
    circumstances = torch.stack((2 * values[0] - 1, (1 + ages[0]).log(), (1 + positions).log()))
    logits = network.log_temperature.exp() * cosines + network.event_bias.weight[0] @ circumstances
    torch.testing.assert_close(network(*given)[1][0], logits.softmax(-1))


def test_the_score_is_decoded_from_the_attended_history() -> None:
    network, given = shaken(), inputs()
    _, candidates, features, history, values, _, _ = given
    scores, attention = network(*given)
    targets = network.candidate_projection(candidates)
    messages = network.message_projection(history) + (2 * values - 1)[..., None] * network.message_value
    attended = torch.einsum("bkl,bld->bkd", attention, messages)
    hidden = network.decoder(torch.cat((attended * targets, attended, targets, features), -1))
    change = network.output(hidden) + network.linear(features)
    torch.testing.assert_close(scores, network.score_weight * features[..., 0] + change[..., 0])


def test_batch_mates_padding_and_further_candidates_change_nothing() -> None:
    network, given = shaken(), inputs()
    scores, attention = network(*given)
    padded_scores, padded_attention = network(*inputs(padding=3))
    torch.testing.assert_close(padded_scores, scores)
    torch.testing.assert_close(padded_attention[..., :6], attention)
    torch.testing.assert_close(network(*(each[1:2] for each in given))[0], scores[1:2])
    given[1], given[2] = given[1][:, :2], given[2][:, :2]
    torch.testing.assert_close(network(*given)[0], scores[:, :2])


def test_an_untrained_ranker_gives_the_retrieval_score() -> None:
    given = inputs()
    torch.testing.assert_close(TargetAttention(4, 3).eval()(*given)[0], given[2][..., 0])


def test_every_parameter_learns_though_a_history_is_empty() -> None:
    network = shaken().train()
    scores, _ = network(*inputs())
    functional.cross_entropy(scores, torch.tensor([0, 3, 1])).backward()
    # A constant added to all candidates changes no softmax.
    still = {name for name, each in network.named_parameters() if not each.grad.abs().max() > 1e-7}
    assert still <= {"output.bias"}
    assert all(torch.isfinite(each.grad).all() for each in network.parameters())


def test_weights_of_nothing_are_zero() -> None:
    weights = attention_weights(torch.randn(2, 3), torch.tensor([[True, False, True], [False] * 3]))
    assert weights[0].sum().item() == pytest.approx(1.0)
    assert weights[0, 1] == 0
    assert (weights[1] == 0).all()


@pytest.mark.parametrize(("option", "value"), [("attention_width", 0), ("hidden", 1), ("dropout", 1.0)])
def test_a_wrong_option_is_named(option: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"{option}.*{value}"):
        TargetAttention(4, 3, **{option: value})
