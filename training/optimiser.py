"""AveragedOptimiser: AdamW with warm-up, cosine decay, clipping and a moving average of the weights."""

from __future__ import annotations

import copy
import math
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from engine.errors import DivergedError
from training.row_average import RowAverage
from training.stage_config import StageConfig

FINAL_SHARE = 0.1
CLIP_NORM = 1.0
BETAS = (0.9, 0.98)

NetworkT = TypeVar("NetworkT", bound=nn.Module)


class AveragedOptimiser(Generic[NetworkT]):
    """Steps a network; `average` is the smoothed copy that is validated and exported (Polyak & Juditsky, 1992).

    `share` scales the learning rate.
    """

    def __init__(self, network: NetworkT, config: StageConfig, total_steps: int, share: float = 1.0) -> None:
        self.network = network
        self._average = copy.deepcopy(network).eval()
        self.step_count = 0
        self._config = config
        self._peak = config.learning_rate * share
        self._total = max(total_steps, 1)
        # What is not saved does not change.
        saved = network.state_dict().keys()
        pairs = zip(self._average.named_buffers(), network.buffers(), strict=True)
        self._buffers = [(kept, newest) for (name, kept), newest in pairs if name in saved]
        self._by_rows = _tables(network, sparse=True)
        weights = list(zip(self._average.parameters(), network.parameters(), strict=True))
        self._averaged = [(mean, now) for mean, now in weights if id(now) not in self._by_rows]
        self._rows = [RowAverage(mean, now) for mean, now in weights if id(now) in self._by_rows]
        self._optimisers = _optimisers(network, config, self._by_rows)

    @property
    def average(self) -> NetworkT:
        """The moving average of the weights so far."""
        for table in self._rows:
            table.catch_up_all()
        return self._average

    @property
    def learning_rate(self) -> float:
        """The learning rate of the next step."""
        warm = min(1.0, (self.step_count + 1) / max(self._config.warmup_steps, 1))
        cosine = 0.5 * (1 + math.cos(math.pi * min(self.step_count / self._total, 1.0)))
        return self._peak * warm * (FINAL_SHARE + (1 - FINAL_SHARE) * cosine)

    def step(self, loss: Tensor) -> float:
        """Take one step down the loss and return it; raises DivergedError if it is no number."""
        value = float(loss.detach())
        self._check("loss", value)
        for optimiser in self._optimisers:
            for group in optimiser.param_groups:
                group["lr"] = self.learning_rate
            optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        tables = self._touched()
        self._check("gradient", self._clipped())
        for table, parameter in zip(self._rows, tables, strict=True):
            table.catch_up(parameter.grad.indices()[0])  # type: ignore[union-attr]
        for optimiser in self._optimisers:
            optimiser.step()
        self.step_count += 1
        self._update_average()
        return value

    def _touched(self) -> list[nn.Parameter]:
        """Return the tables that learn by rows, with one gradient a row."""
        tables = [each for each in self.network.parameters() if id(each) in self._by_rows]
        for table in tables:
            table.grad = table.grad.coalesce()  # type: ignore[union-attr]
        return tables

    def _clipped(self) -> float:
        """Shorten the gradient to CLIP_NORM at most, and return how long it was."""
        gradients = [each.grad for each in self.network.parameters() if each.grad is not None]
        values = [each._values() if each.is_sparse else each for each in gradients]
        norm = nn.utils.get_total_norm(values, foreach=True)
        torch._foreach_mul_(values, torch.clamp(CLIP_NORM / (norm + 1e-6), max=1.0))
        return float(norm)

    def state(self) -> dict[str, Any]:
        """Return all that the next step depends on."""
        return {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimisers": [each.state_dict() for each in self._optimisers],
            "step_count": self.step_count,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self.network.load_state_dict(state["network"])
        # Whatever rows waited for is of the weights that are gone.
        self.average.load_state_dict(state["average"])
        for optimiser, saved in zip(self._optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        self.step_count = state["step_count"]

    def _check(self, name: str, value: float) -> None:
        if not math.isfinite(value):
            raise DivergedError(
                f"the {name} is {value} at step {self.step_count}, with learning rate {self.learning_rate:.2g}: it has"
                " diverged; lower learning_rate and train again, it goes on from the last saved epoch"
            )

    @torch.no_grad()
    def _update_average(self) -> None:
        # Early on the average is short, or it would keep remembering the initial weights.
        decay = min(self._config.averaging, (self.step_count + 1) / (self.step_count + 10))
        means, weights = zip(*self._averaged, strict=True)
        torch._foreach_lerp_(means, weights, 1 - decay)
        for table in self._rows:
            table.step(decay)
        for kept, newest in self._buffers:
            kept.copy_(newest)


def _tables(network: nn.Module, *, sparse: bool = False) -> set[int]:
    """Return the ids of the parameters of embeddings: of all, or of those with sparse gradients."""
    embeddings = [each for each in network.modules() if isinstance(each, nn.Embedding) and (each.sparse or not sparse)]
    return {id(parameter) for module in embeddings for parameter in module.parameters()}


def _optimisers(network: nn.Module, config: StageConfig, by_rows: set[int]) -> list[torch.optim.Optimizer]:
    """Return AdamW, and for tables that learn by rows Adam of the rows that a step touches."""
    tables = _tables(network)
    decayed = [each for each in network.parameters() if id(each) not in tables]
    free = [each for each in network.parameters() if id(each) in tables - by_rows]
    groups = [
        {"params": decayed, "weight_decay": config.weight_decay},
        {"params": free, "weight_decay": config.embedding_decay},
    ]
    dense = torch.optim.AdamW(groups, lr=config.learning_rate, betas=BETAS, fused=True)
    touched = [each for each in network.parameters() if id(each) in by_rows]
    return [dense, torch.optim.SparseAdam(touched, lr=config.learning_rate, betas=BETAS)] if touched else [dense]
