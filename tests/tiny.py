"""The config of a training that takes a second."""

from __future__ import annotations

from typing import Any

TINY: dict[str, Any] = {
    "window": {"max_length": 12},
    "threads": 1,
    "retriever": {
        "network": {"width": 16, "blocks": 1, "heads": 2, "dropout": 0.1},
        "epochs": 6,
        "learning_rate": 0.02,
        "warmup_steps": 5,
        "events_per_batch": 200,
        "averaging": 0.9,
        "validate_every": 3,
        "first_epochs": 6,
    },
    "neighbours": {"most": 10},
    "ratings": {"model": "bias"},
    "ranker": {
        "keep": "always",
        "epochs": 2,
        "held_out": 3,
        "network": {"hidden": 8},
    },
}
