"""precision: in what the matrix products of training are computed, by what this machine is fast in."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from training.config import TrainingConfig

# Of a step the products alone become faster, and bringing numbers to bfloat16 takes time too.
WORTH_IT = 1.5
ROWS, WIDTH, ITEMS = 1_024, 64, 2_048
REPEATS = 7


def settled(config: TrainingConfig, say: Callable[[str], None]) -> TrainingConfig:
    """Replace precision = "auto" by what is faster here, and tell why."""
    if config.precision != "auto":
        return config
    if not config.networks:
        return config.model_copy(update={"precision": "float32"})
    precision, why = faster(seconds(config.device, torch.float32), seconds(config.device, torch.bfloat16))
    say(why)
    return config.model_copy(update={"precision": precision})


def faster(float32: float, bfloat16: float) -> tuple[str, str]:
    """Return what to train in, by the seconds of a product in each, and why."""
    advantage = float32 / bfloat16
    chosen = "bfloat16" if advantage >= WORTH_IT else "float32"
    measured = f"products in bfloat16 are {advantage:.2f}x as fast as in float32, and from {WORTH_IT:g}x on they pay"
    return chosen, f"training in {chosen}: {measured}"


def seconds(device: str, dtype: torch.dtype) -> float:
    """Return the shortest time of a product as large as a training step has."""
    left, right = (torch.ones(shape, dtype=dtype, device=device) for shape in ((ROWS, WIDTH), (WIDTH, ITEMS)))
    return min(_once(left, right) for _ in range(REPEATS))


def _once(left: torch.Tensor, right: torch.Tensor) -> float:
    started = time.perf_counter()
    float((left @ right)[0, 0])  # A GPU's answer has to be waited for.
    return time.perf_counter() - started
