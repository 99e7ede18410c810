"""AveragedOptimiser: AdamW with warm-up, cosine decay, clipping and a moving average of the weights."""

from __future__ import annotations

import copy
import math
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from engine.errors import DivergedError
from training.stage_config import StageConfig

FINAL_SHARE = 0.1
CLIP_NORM = 1.0

NetworkT = TypeVar("NetworkT", bound=nn.Module)


class AveragedOptimiser(Generic[NetworkT]):
    """Steps a network; `average` is the smoothed copy that is validated and exported (Polyak & Juditsky, 1992).

    `share` scales the learning rate.
    """

    def __init__(self, network: NetworkT, config: StageConfig, total_steps: int, share: float = 1.0) -> None:
        self.network = network
        self.average = copy.deepcopy(network).eval()
        self.step_count = 0
        self._config = config
        self._peak = config.learning_rate * share
        self._total = max(total_steps, 1)
        # What is not saved does not change.
        saved = network.state_dict().keys()
        pairs = zip(self.average.named_buffers(), network.buffers(), strict=True)
        self._buffers = [(kept, newest) for (name, kept), newest in pairs if name in saved]
        groups = _groups(network, config)
        self._optimiser = torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98), fused=True)

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
        for group in self._optimiser.param_groups:
            group["lr"] = self.learning_rate
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), CLIP_NORM, foreach=True)
        self._check("gradient", float(norm))
        self._optimiser.step()
        self.step_count += 1
        self._update_average()
        return value

    def state(self) -> dict[str, Any]:
        """Return all that the next step depends on."""
        return {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "step_count": self.step_count,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self._optimiser.load_state_dict(state["optimiser"])
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
        torch._foreach_lerp_(list(self.average.parameters()), list(self.network.parameters()), 1 - decay)
        for kept, newest in self._buffers:
            kept.copy_(newest)


def _groups(network: nn.Module, config: StageConfig) -> list[dict[str, object]]:
    tables = {
        id(parameter)
        for module in network.modules()
        if isinstance(module, nn.Embedding)
        for parameter in module.parameters()
    }
    decayed = [parameter for parameter in network.parameters() if id(parameter) not in tables]
    free = [parameter for parameter in network.parameters() if id(parameter) in tables]
    return [
        {"params": decayed, "weight_decay": config.weight_decay},
        {"params": free, "weight_decay": config.embedding_decay},
    ]
