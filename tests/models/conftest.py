"""Histories as networks read them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import pytest
import torch
from torch import Tensor

from models import UserEncoder


@dataclass(frozen=True)
class Histories:
    """indices [B,L] beside what a network reads of them."""

    indices: Tensor
    vectors: Tensor
    values: Tensor
    ages: Tensor
    lengths: Tensor

    @property
    def inputs(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self.vectors, self.values, self.ages, self.lengths


class HistoriesOf(Protocol):
    def __call__(self, network: UserEncoder, lengths: list[int], padding: int = 0) -> Histories: ...


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def histories_of() -> HistoriesOf:
    return random_histories


def random_histories(network: UserEncoder, lengths: list[int], padding: int = 0) -> Histories:
    """Each row depends on its own number and length only; no item comes twice in a row."""
    table = network.input_vectors().detach()
    shape = (len(lengths), max(lengths) + padding)
    indices = torch.full(shape, len(table) - 1)
    values, ages = torch.zeros(2, *shape)
    for row, length in enumerate(lengths):
        generator = torch.Generator().manual_seed(row)
        indices[row, :length] = torch.randperm(len(table) - 1, generator=generator)[:length]
        values[row, :length] = torch.rand(length, generator=generator)
        ages[row, :length] = torch.rand(length, generator=generator).mul(10).sort(descending=True).values
    return Histories(indices, table[indices], values, ages, torch.tensor(lengths))
