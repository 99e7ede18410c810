from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from models import NCF


def inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return torch.randn(2, 4), torch.randn(2, 5, 4), torch.randn(2, 5, 3)


def shaken(parts: str) -> NCF:
    network = NCF(4, 3, hidden=6, parts=parts).eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    network.standardise(torch.tensor([0.5, 0.0, 1.0]), torch.tensor([2.0, 1.0, 0.0]))
    return network


def shared_terms(network: NCF, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the first stage's part with the linear term, and the standardised features."""
    standard = (features - torch.tensor([0.5, 0.0, 1.0])) / torch.tensor([2.0, 1.0, 1.0])
    return network.score_weight * features[..., 0] + network.linear(standard)[..., 0], standard


def factorised(network: NCF, users: torch.Tensor, candidates: torch.Tensor) -> torch.Tensor:
    return (users[:, None] * candidates) @ network.gmf.weight[0]


def perceived(network: NCF, users: torch.Tensor, candidates: torch.Tensor, standard: torch.Tensor) -> torch.Tensor:
    mlp = network.mlp
    weights = (mlp.user_projection.weight, mlp.candidate_projection.weight, mlp.feature_projection.weight)
    joined = torch.cat((users[:, None].expand_as(candidates), candidates, standard), -1) @ torch.cat(weights, 1).T
    hidden = mlp.hidden(functional.gelu(joined + mlp.feature_projection.bias))
    return mlp.output(functional.gelu(hidden))[..., 0]


def test_gmf_is_a_dense_layer_on_the_product() -> None:
    network, (users, candidates, features) = shaken("gmf"), inputs()
    shared, _ = shared_terms(network, features)
    torch.testing.assert_close(network(users, candidates, features), shared + factorised(network, users, candidates))


def test_the_mlp_reads_the_joined_vectors() -> None:
    network, (users, candidates, features) = shaken("mlp"), inputs()
    shared, standard = shared_terms(network, features)
    expected = shared + perceived(network, users, candidates, standard)
    torch.testing.assert_close(network(users, candidates, features), expected)


def test_neumf_is_their_sum_and_the_default() -> None:
    network, (users, candidates, features) = shaken("neumf"), inputs()
    shared, standard = shared_terms(network, features)
    expected = shared + factorised(network, users, candidates) + perceived(network, users, candidates, standard)
    torch.testing.assert_close(network(users, candidates, features), expected)
    assert NCF(4, 3).state_dict().keys() == NCF(4, 3, parts="neumf").state_dict().keys()


@pytest.mark.parametrize("parts", ["gmf", "mlp", "neumf"])
def test_an_untrained_ranker_adds_a_constant_to_the_retrieval_score(parts: str) -> None:
    users, candidates, features = inputs()
    change = NCF(4, 3, parts=parts).eval()(users, candidates, features) - features[..., 0]
    torch.testing.assert_close(change, change[:1, :1].expand(2, 5))


@pytest.mark.parametrize("parts", ["gmf", "mlp", "neumf"])
def test_every_parameter_learns(parts: str) -> None:
    network = shaken(parts)
    network.standardise(torch.zeros(3), torch.ones(3))
    functional.cross_entropy(network(*inputs()), torch.tensor([0, 3])).backward()
    # A constant added to all candidates changes no softmax.
    constant = {"mlp.output.bias"}
    still = {name for name, each in network.named_parameters() if not each.grad.abs().max() > 1e-7}
    assert still <= constant


@pytest.mark.parametrize(("option", "value"), [("parts", "both"), ("hidden", 1), ("dropout", -0.5)])
def test_a_wrong_option_is_named(option: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"{option}.*{value}"):
        NCF(4, 3, **{option: value})
