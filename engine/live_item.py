"""LiveItem: an item as it was added or changed while the service ran."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class LiveItem:
    """One item of the catalogue.

    content_vector [V] is what the content network makes of it, None where there is nothing to make one from; added_at
    is in unix seconds.
    """

    item_id: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    is_hidden: bool = False
    added_at: float = 0.0
    content_vector: npt.NDArray[np.float32] | None = None
