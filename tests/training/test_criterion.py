"""The loss that a config names: what counts as a negative, and what weighs how much."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from engine.errors import ConfigError
from engine.vocabulary import Vocabulary
from engine.window import HistoryColumns
from training.criterion import Criterion
from training.interactions import Interactions
from training.objectives import Examples
from training.retriever_config import SAMPLED, RetrieverConfig

# Item 0 occurs nine times, item 1 four times, item 2 once; each item has a value of its own.
COUNTS = [9, 4, 1]
VALUES = [1.0, 0.5, 0.0]
LOGIT_LOSSES = sorted(set(SAMPLED) - {"ccl"})


def interactions(counts: list[int], *, rated: bool = True) -> Interactions:
    index = np.repeat(np.arange(len(counts)), counts)
    value = np.array((VALUES * len(counts))[: len(counts)], dtype=np.float32)[index]
    columns = HistoryColumns(index, value, np.arange(len(index), dtype=np.float64), np.array([0, len(index)]))
    ratings = 1.0 + 4.0 * value if rated else np.full(len(index), np.nan)
    return Interactions(Vocabulary(map(str, range(len(counts)))), ("u",), columns, ratings)


def criterion(loss: str, counts: list[int] = COUNTS, **config: object) -> Criterion:
    model = "simplex" if loss == "ccl" else "autoencoder"
    return Criterion(RetrieverConfig(model=model, loss=loss, **config), loss, interactions(counts), "cpu")


def asked(scores: list[float], targets: list[int], values: list[float] | None = None) -> tuple[Examples, torch.Tensor]:
    """One query that scores the items as given, and its targets; the items' vectors."""
    owner = torch.zeros(len(targets), dtype=torch.long)
    queries = torch.tensor([scores])
    return Examples(queries, owner, torch.tensor(targets), torch.tensor(values or [1.0] * len(targets))), torch.eye(
        len(scores)
    )


@pytest.mark.parametrize("loss", LOGIT_LOSSES)
@pytest.mark.parametrize("targets", [[0], [0, 1]], ids=["one", "several"])
def test_a_draw_that_is_one_of_the_query_s_own_targets_never_counts(loss: str, targets: list[int]) -> None:
    torch.manual_seed(0)
    examples, vectors = asked([30.0, 30.0 if len(targets) > 1 else -30.0, -30.0], targets)
    # Were a target drawn as its own negative, it would cost at least log 2 / 64.
    assert criterion(loss, negatives=64)(examples, vectors) < 1e-4


@pytest.mark.parametrize("loss", LOGIT_LOSSES)
def test_another_query_s_target_does_count(loss: str) -> None:
    torch.manual_seed(0)
    queries = torch.tensor([[5.0, 5.0, -30.0], [5.0, 5.0, -30.0]])
    examples = Examples(queries, torch.arange(2), torch.tensor([0, 1]), torch.ones(2))
    assert criterion(loss, negatives=64)(examples, torch.eye(3)) > 0.1


@pytest.mark.parametrize("loss", sorted(SAMPLED))
def test_with_nothing_but_own_targets_drawn_the_gradient_is_finite(loss: str) -> None:
    queries = nn.Parameter(torch.tensor([[0.3, 0.2]]))
    examples = Examples(queries, torch.zeros(2, dtype=torch.long), torch.tensor([0, 1]), torch.ones(2))
    criterion(loss, [3, 2], negatives=8)(examples, torch.eye(2)).backward()
    assert torch.isfinite(queries.grad).all()


@pytest.mark.parametrize("sampling", ["uniform", "popularity"])
def test_the_sampled_softmax_has_the_full_one_s_gradient_on_average(sampling: str) -> None:
    torch.manual_seed(0)
    items, targets = torch.randn(9, 3), torch.randint(9, (6,))
    states = torch.randn(6, 3, requires_grad=True)
    sampled = criterion("sampled_softmax", [1, 2, 3, 4, 5, 6, 7, 8, 9], negatives=4_000, sampling=sampling)
    examples = Examples(states, torch.arange(6), targets, torch.ones(6))
    mean = torch.stack([sampled(examples, items) for _ in range(20)]).mean()
    (approximate,) = torch.autograd.grad(mean, states)
    # Many draws of the eight wrong items weigh 4,000 / 9 times as much as each once: the same as a shifted target.
    logits = states @ items.T + np.log(4_000 / 9)
    shifted = logits.scatter_add(1, targets[:, None], torch.full((6, 1), -np.log(4_000 / 9)))
    (expected,) = torch.autograd.grad(functional.cross_entropy(shifted, targets), states)
    torch.testing.assert_close(approximate, expected, atol=0.02, rtol=0.1)


@pytest.mark.parametrize("loss", ["bpr", "bce", "gbce"])
def test_only_the_softmax_is_corrected_for_how_often_items_are_drawn(loss: str) -> None:
    examples, vectors = asked([1.0, 0.0, 0.0], [0])
    torch.manual_seed(0)
    drawn = criterion(loss, negatives=64, sampling="popularity")(examples, vectors)
    torch.manual_seed(0)
    # The same scores wherever they are drawn from, so only a correction could tell.
    again = criterion(loss, [9, 1, 4], negatives=64, sampling="popularity")(examples, vectors)
    torch.testing.assert_close(drawn, again)


def test_the_hardest_of_a_pool_are_kept() -> None:
    torch.manual_seed(0)
    examples, vectors = asked([1.0, -2.0, 3.0, 0.5, -9.0], [0])
    found = criterion("bpr", [1, 1, 1, 1, 1], negatives=1, hard_pool=100)(examples, vectors)
    torch.testing.assert_close(found, functional.softplus(torch.tensor(3.0 - 1.0)))
    examples, vectors = asked([1.0, -2.0, 3.0, 0.5, -9.0], [0, 2])
    found = criterion("bpr", [1, 1, 1, 1, 1], negatives=1, hard_pool=100)(examples, vectors)
    torch.testing.assert_close(found, functional.softplus(torch.tensor([0.5 - 1.0, 0.5 - 3.0])).mean())


def test_each_target_is_compared_with_what_its_own_query_scores() -> None:
    torch.manual_seed(0)
    queries = torch.tensor([[1.0, -2.0, 3.0, 0.5, -9.0], [2.0, 1.0, 0.0, -1.0, -5.0]])
    examples = Examples(queries, torch.tensor([0, 0, 1, 1]), torch.tensor([0, 2, 0, 1]), torch.ones(4))
    found = criterion("bpr", [1, 1, 1, 1, 1], negatives=1, hard_pool=100)(examples, torch.eye(5))
    expected = functional.softplus(torch.tensor([0.5 - 1.0, 0.5 - 3.0, 0.0 - 2.0, 0.0 - 1.0])).mean()
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_rare_items_weigh_more(power: float) -> None:
    examples, vectors = asked([0.5, -1.0, 2.0], [0, 1, 2])
    each = -torch.log_softmax(examples.queries[0], dim=0)
    weights = torch.tensor(COUNTS).float() ** -power
    expected = (each * weights).sum() / weights.sum()
    torch.testing.assert_close(criterion("softmax", rare_items=power)(examples, vectors), expected)


@pytest.mark.parametrize("power", [0.0, 1.0])
def test_rare_ratings_weigh_more(power: float) -> None:
    examples, vectors = asked([0.5, -1.0, 2.0], [0, 1, 2], VALUES)
    each = (torch.tensor([0.5, -1.0, 2.0]) - torch.tensor(VALUES)) ** 2
    weights = torch.tensor(COUNTS).float() ** -power
    expected = (each * weights).sum() / weights.sum()
    torch.testing.assert_close(criterion("mse", rare_ratings=power)(examples, vectors), expected)


@pytest.mark.parametrize(("loss", "config"), [("mse", {}), ("softmax", {"rare_ratings": 0.5})])
def test_without_ratings_what_needs_them_is_refused(loss: str, config: dict[str, float]) -> None:
    chosen = RetrieverConfig(model="autoencoder", name="mine", loss=loss, **config)
    with pytest.raises(ConfigError, match="retriever mine: mse and rare_ratings need ratings; the data has none"):
        Criterion(chosen, loss, interactions(COUNTS, rated=False), "cpu")
    Criterion(chosen, loss, interactions(COUNTS), "cpu")
