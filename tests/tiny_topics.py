"""The config of a training that reads items and takes some seconds."""

from __future__ import annotations

from typing import Any

from tiny import TINY

TINY_TOPICS: dict[str, Any] = {
    **TINY,
    "cleaning": {"rating_scale": [1, 5]},
    "retriever": {**TINY["retriever"], "epochs": 12, "first_epochs": 12},
    "content": {
        "model": "hybrid",
        "width": 6,
        "text": "cnn",
        "text_network": {"width": 8, "filters": 8},
        "picture_network": {"widths": [4, 8]},
        "epochs": 2,
        "folds": 2,
        "learning_rate": 0.02,
        "warmup_steps": 2,
        "items_per_batch": 16,
        "penalties": [0.3, 3.0],
        "fields": {"image": True, "image_height": 24, "image_width": 16, "max_tokens": 24, "pieces": 200},
    },
    "sources": [{"model": "content", "depth": 30}],
}
