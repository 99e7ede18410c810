"""ItemContent: what is known of an item beside who has met it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class ItemContent:
    """metadata: JSON values by field (title, description, categories, year, …); image and audio as files hold them."""

    metadata: Mapping[str, Any] = field(default_factory=dict)
    image: bytes | None = None
    audio: bytes | None = None
