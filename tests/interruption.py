"""Trainings that are stopped anywhere, and whether two networks are the same."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from training.optimiser import AveragedOptimiser

STEP = AveragedOptimiser.step
NEVER = 1_000_000


class Interrupted(BaseException):
    """Stands for Ctrl-C, a power cut or a spot machine taken away."""


def stopped_at(patch: pytest.MonkeyPatch, stop: int) -> list[int]:
    """Stop at the given step, counted over all stages from now on; return the list of those that were taken."""
    steps: list[int] = []

    def counted(self: AveragedOptimiser, loss: torch.Tensor) -> float:
        if len(steps) == stop:
            raise Interrupted
        steps.append(len(steps))
        return STEP(self, loss)

    patch.setattr(AveragedOptimiser, "step", counted)
    return steps


def assert_same(found: nn.Module, wanted: nn.Module) -> None:
    states = found.state_dict(), wanted.state_dict()
    assert states[0].keys() == states[1].keys()
    assert [name for name in states[0] if not torch.equal(states[0][name], states[1][name])] == []
