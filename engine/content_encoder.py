"""ContentEncoder: what is known of an item becomes its content vector."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from engine.content_features import ContentFeatures
from engine.item_content import ItemContent
from engine.runtime import Network

Floats = npt.NDArray[np.float32]
LOT = 64


class ContentEncoder:
    """A content network that training exported, behind the features that it reads: items -> content vectors [B,V]."""

    def __init__(self, features: ContentFeatures, network: Network, version: str) -> None:
        """`version` changes whenever the vector of an item may."""
        self.version = version
        self._features = features
        self._network = network

    def has_content(self, item: ItemContent) -> bool:
        """Return whether there is anything that the network could read."""
        return self._features.has_content(item)

    def encode(self, items: Sequence[ItemContent]) -> Floats:
        """Return content vectors [B,V], B at least 1; raises DataError that names what cannot be read."""
        lots = [items[start : start + LOT] for start in range(0, len(items), LOT)]
        return np.concatenate([self._network.run(**self._arrays(lot)) for lot in lots])

    def _arrays(self, items: Sequence[ItemContent]) -> dict[str, npt.NDArray[np.generic]]:
        arrays = self._features.arrays(items)
        return {name: arrays[name] for name in self._network.inputs}
