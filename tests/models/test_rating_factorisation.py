"""RatingFactorisation equals its formulas."""

from __future__ import annotations

import pytest
import torch

from models import ItemFacts, RatingFactorisation

ITEMS, FEATURES = 9, 3


def network(width: int = 4) -> RatingFactorisation:
    torch.manual_seed(0)
    facts = ItemFacts(torch.randn(ITEMS, FEATURES), 0.1 * torch.randn(ITEMS), 0.6, 200)
    made = RatingFactorisation(ITEMS, width=width, facts=facts)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return made.eval()


def rated(made: RatingFactorisation, items: list[int], values: list[float]) -> torch.Tensor:
    vectors = made.input_vectors()[torch.tensor([items])]
    return made(vectors, torch.tensor([values]), torch.zeros(1, len(items)), torch.tensor([len(items)]))


def test_the_user_is_the_ridge_solution_of_the_formula() -> None:
    made, items, values = network(), [2, 5, 7], torch.tensor([0.0, 1.0, 0.5])
    factors = torch.cat(
        (made.factors.weight + made.features @ made.factor_map, made.constant.exp().expand(ITEMS, 1)), dim=1
    )
    biases = (made.mean + made.biases.weight + made.features @ made.bias_map)[:, 0]
    implicit = made.implicit.weight + made.features @ made.implicit_map
    prior = torch.cat((implicit[items].sum(0) / 4**0.5 + made.prior, torch.zeros(1)))
    rows, confidences = factors[items], made.log_confidences.weight.exp()[items, 0]
    residual = 4.0 * values - biases[items] - rows @ prior
    left = rows.T @ (confidences[:, None] * rows) + torch.eye(5)
    change = torch.linalg.solve(left, rows.T @ (confidences * residual))
    expected = (biases + factors @ (prior + change)) / 4.0
    found = made.item_vectors() @ rated(made, items, values.tolist())[0]
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_the_order_of_the_history_says_nothing() -> None:
    made = network()
    torch.testing.assert_close(rated(made, [1, 2, 3], [0.1, 0.5, 1.0]), rated(made, [3, 1, 2], [1.0, 0.1, 0.5]))


def test_without_facts_it_starts_at_the_middle_of_the_scale() -> None:
    made = RatingFactorisation(ITEMS, width=4)
    torch.testing.assert_close(made.item_vectors()[:, -1], torch.full((ITEMS,), 0.5))


def test_with_facts_it_starts_at_the_mean_rating_of_each_item() -> None:
    facts = ItemFacts(torch.zeros(ITEMS, 1), torch.linspace(-0.2, 0.2, ITEMS), 0.6, 10)
    made = RatingFactorisation(ITEMS, facts=facts)
    torch.testing.assert_close(made.item_vectors()[:, -1], 0.6 + facts.biases)


def test_the_penalty_counts_every_table_and_is_less_for_each_event_the_more_there_are() -> None:
    few, many = network(), network()
    many.strength = few.strength / 10
    torch.testing.assert_close(few.penalty(), 10 * many.penalty())
    for parameter in (few.factors.weight, few.biases.weight, few.implicit.weight, few.factor_map, few.bias_map):
        before = few.penalty()
        with torch.no_grad():
            parameter.mul_(2.0)
        assert few.penalty() > before


def test_ratings_are_learned_through_the_solution() -> None:
    made = network()
    rated(made, [1, 2], [0.0, 1.0]).sum().backward()
    assert made.factors.weight.grad.abs().sum() > 0
    assert made.log_confidences.weight.grad[[1, 2]].abs().sum() > 0


@pytest.mark.parametrize("wrong", [{"width": 0}, {"steps": 0}, {"penalty": -1.0}])
def test_impossible_arguments(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=str(next(iter(wrong.values())))):
        RatingFactorisation(ITEMS, **wrong)
