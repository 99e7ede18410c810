"""ItemDocument: an item as the store keeps it."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

MEMBERS = ("seq", "added_at", "is_hidden", "metadata", "has_image", "has_audio", "of_bundle", "model")
FILES = ("image", "audio")
"""Keys of metadata under which an items file may have named the files of an item; clients cannot set them."""
Vector = npt.NDArray[np.float32]
LONG_FIELDS = ("description",)
"""What only GET /items/{item_id} gives of a live item: else all workers would hold it, and all answers carry it."""


@dataclass(frozen=True, slots=True)
class ItemDocument:
    """An item that was added, changed or deleted while the service ran; `metadata` is flat, as answers give it.

    seq numbers the changes of all items: that of this one's newest. `model` is the sha256 of the content network that
    computed the vector; a vector of None with a model says that this network has nothing to read. of_bundle: but for
    is_hidden, it is what a bundle said of the item when it was first changed.
    """

    item_id: str
    seq: int = 0
    added_at: float = 0.0
    is_deleted: bool = False
    is_hidden: bool = False
    metadata: Mapping[str, Any] = field(default_factory=dict)
    has_image: bool = False
    has_audio: bool = False
    model: str = ""
    vector: Vector | None = None
    of_bundle: bool = False

    @property
    def elsewhere(self) -> tuple[str, ...]:
        """Which of its files, "image" and "audio", an items file had that the service has never seen."""
        here = {"image": self.has_image, "audio": self.has_audio}
        return tuple(kind for kind in FILES if self.metadata.get(kind) and not here[kind])

    def shortened(self) -> dict[str, Any]:
        """Return the metadata that lists and answers give."""
        return {name: value for name, value in self.metadata.items() if name not in LONG_FIELDS}

    def tail(self) -> str:
        """Return the JSON after seq, added_at and deleted, which the scripts write."""
        if self.is_deleted:
            return "}"
        members = {
            "is_hidden": self.is_hidden,
            "metadata": self.metadata,
            "has_image": self.has_image,
            "has_audio": self.has_audio,
            "of_bundle": self.of_bundle,
            "model": self.model,
            "vector": None if self.vector is None else base64.b64encode(self.vector.astype("<f4").tobytes()).decode(),
        }
        return "," + json.dumps(members, ensure_ascii=False, separators=(",", ":"), allow_nan=False)[1:]

    @classmethod
    def decode(cls, item_id: str, encoded: bytes) -> ItemDocument:
        """Read what the scripts wrote."""
        members = json.loads(encoded)
        # What a newer version may have added is left alone.
        given = {name: members[name] for name in MEMBERS if name in members}
        vector = members.get("vector")
        if vector is not None:
            vector = np.frombuffer(base64.b64decode(vector), dtype="<f4").astype(np.float32)
        return cls(item_id, is_deleted=members["deleted"], vector=vector, **given)
