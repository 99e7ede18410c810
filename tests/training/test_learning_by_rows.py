"""Tables of which a step touches a few rows: what is learned and averaged is as if all had been gone through."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from models import RETRIEVERS
from models.shared_items import SharedItems
from training.config import TrainingConfig
from training.item_rows import ItemRows
from training.optimiser import AveragedOptimiser
from training.row_average import RowAverage

ITEMS, WIDTH = 30, 8
CONFIG = TrainingConfig.model_validate({"retriever": {"weight_decay": 0.0, "warmup_steps": 1}}).retriever


def network(name: str = "sasrec") -> SharedItems:
    torch.manual_seed(0)
    made = RETRIEVERS[name](ITEMS, width=WIDTH, dropout=0.0)
    assert isinstance(made, SharedItems)
    return made


def loss(asked: SharedItems, rows: Tensor) -> Tensor:
    return (asked.input_rows(rows) * 3.0).square().sum() + asked.item_rows(rows).sum(dim=1).square().sum()


@pytest.mark.parametrize("name", ["sasrec", "gru4rec"])
def test_rows_are_those_of_the_whole_tables(name: str) -> None:
    asked = network(name)
    nn.init.normal_(asked.item_bias)
    rows = torch.tensor([[3, 0, ITEMS - 1], [7, 7, ITEMS]])
    assert torch.equal(asked.input_rows(rows), asked.input_vectors()[rows])
    assert torch.equal(ItemRows(asked)[rows[0]], asked.item_vectors()[rows[0]])
    assert len(ItemRows(asked)) == ITEMS


def test_where_every_step_touches_every_row_the_weights_are_the_same() -> None:
    dense, sparse = network(), network()
    assert sparse.learn_by_rows()
    optimisers = [AveragedOptimiser(each, CONFIG, total_steps=9) for each in (dense, sparse)]
    for _ in range(9):
        for optimiser in optimisers:
            optimiser.step(loss(optimiser.network, torch.arange(ITEMS).repeat(2)))
    for mine, other in zip(dense.parameters(), sparse.parameters(), strict=True):
        torch.testing.assert_close(mine, other, atol=1e-6, rtol=1e-5)
    averages = [optimiser.average.items.weight for optimiser in optimisers]
    torch.testing.assert_close(*averages, atol=1e-6, rtol=1e-5)


def test_a_row_that_no_step_touches_stays() -> None:
    asked = network()
    asked.learn_by_rows()
    before = asked.items.weight.detach().clone()
    optimiser = AveragedOptimiser(asked, CONFIG, total_steps=5)
    for _ in range(5):
        optimiser.step(loss(asked, torch.tensor([1, 4])))
    changed = (asked.items.weight != before).any(dim=1).nonzero().flatten().tolist()
    assert changed == [1, 4]


def test_the_average_of_rows_is_the_average_of_the_table() -> None:
    torch.manual_seed(0)
    now, mean = torch.randn(ITEMS, WIDTH), torch.randn(ITEMS, WIDTH)
    expected, rows = mean.clone(), RowAverage(mean, now)
    for step in range(40):
        touched, decay = torch.randperm(ITEMS)[: step % 4], 0.99 - 0.5 / (step + 1)
        rows.catch_up(touched)
        now[touched] += torch.randn(len(touched), WIDTH)
        rows.step(decay)
        expected.lerp_(now, 1 - decay)
        if step == 20:
            rows.catch_up_all()
            torch.testing.assert_close(mean, expected, atol=1e-5, rtol=1e-5)
    rows.catch_up_all()
    torch.testing.assert_close(mean, expected, atol=1e-5, rtol=1e-5)


def test_it_goes_on_from_a_saved_state() -> None:
    asked = network()
    asked.learn_by_rows()
    optimiser = AveragedOptimiser(asked, CONFIG, total_steps=8)
    draws = [torch.randint(ITEMS, (5,)) for _ in range(8)]
    for rows in draws[:4]:
        optimiser.step(loss(asked, rows))
    state = copy.deepcopy(optimiser.state())
    fresh = network("sasrec")
    fresh.learn_by_rows()
    resumed = AveragedOptimiser(fresh, CONFIG, total_steps=8)
    resumed.restore(state)
    for rows in draws[4:]:
        for each in (optimiser, resumed):
            each.step(loss(each.network, rows))
    torch.testing.assert_close(resumed.average.items.weight, optimiser.average.items.weight, atol=1e-7, rtol=1e-6)
    assert torch.equal(fresh.items.weight, asked.items.weight)
