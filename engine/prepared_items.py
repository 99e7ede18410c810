"""PreparedItems: what answers look up of all items, made once with the bundle and mapped by each process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.field_column import FieldColumn

Order = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class PreparedItems:
    """Orders int32 [N] of the rows: by popularity, by year (see NewestOrder) and by id; and the fields of metadata."""

    popular: Order
    newest: Order
    ids: Order
    fields: Mapping[str, FieldColumn]
