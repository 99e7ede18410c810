"""VectorIndex: nearest items by inner product, with FAISS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from engine.errors import BundleError

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
EXACT_UP_TO = 50_000
HNSW_LINKS = 32
HNSW_BUILD_WIDTH = 200
HNSW_SEARCH_WIDTH = 256


class VectorIndex:
    """A FAISS index over item vectors [N,E]; the FAISS row is the item index.

    Up to EXACT_UP_TO items the search is exact; above, a graph is searched (HNSW, Malkov & Yashunin 2018).
    """

    def __init__(self, index: Any, exact_up_to: int = EXACT_UP_TO) -> None:  # noqa: ANN401 (FAISS has no common Python type for its indexes)
        self._index = index
        self._exact_up_to = exact_up_to

    @classmethod
    def build(cls, vectors: Floats, exact_up_to: int = EXACT_UP_TO) -> VectorIndex:
        """Index vectors [N,E] by inner product."""
        count, width = vectors.shape
        if count <= exact_up_to:
            index = faiss.IndexFlatIP(width)
        else:
            index = faiss.IndexHNSWFlat(width, HNSW_LINKS, faiss.METRIC_INNER_PRODUCT)
            index.hnsw.efConstruction = HNSW_BUILD_WIDTH
        index.add(np.ascontiguousarray(vectors, dtype=np.float32))
        return cls(index, exact_up_to)

    @classmethod
    def open(cls, path: Path) -> VectorIndex:
        """Read an index that `save` wrote; raises BundleError if FAISS cannot."""
        try:
            return cls(faiss.read_index(str(path)))
        except RuntimeError as error:
            raise BundleError(f"{path.name}: FAISS cannot read the index; train again") from error

    def save(self, path: Path) -> None:
        """Write the index to a file."""
        faiss.write_index(self._index, str(path))

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @property
    def width(self) -> int:
        """The number of dimensions E."""
        return int(self._index.d)

    @property
    def kind(self) -> str:
        """ "flat" (exact) or "hnsw"."""
        return "flat" if isinstance(self._index, faiss.IndexFlat) else "hnsw"

    def search(self, queries: Floats, k: int, allowed: npt.NDArray[np.bool_] | None = None) -> tuple[Indices, Floats]:
        """Return the k best items of each query: indices [B,k] and scores [B,k], best first.

        `allowed` [N] limits the search to some items. Where fewer than k are found, the index is -1.
        """
        k = min(k, len(self))
        if allowed is not None and self.kind != "flat":
            rows = np.flatnonzero(allowed)
            # A graph loses its way where hardly anything is allowed, and so few are quicker to look at one by one.
            if len(rows) <= self._exact_up_to:
                return self._look_at(rows, queries, k)
        scores, indices = self._index.search(queries, k, params=self._parameters(k, allowed))
        return indices, scores

    def _look_at(self, rows: Indices, queries: Floats, k: int) -> tuple[Indices, Floats]:
        scores = queries @ self._index.reconstruct_batch(rows).T
        order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        missing = ((0, 0), (0, k - order.shape[1]))
        found = np.pad(rows[order], missing, constant_values=-1)
        return found, np.pad(np.take_along_axis(scores, order, axis=1), missing, constant_values=-np.inf)

    def _parameters(self, k: int, allowed: npt.NDArray[np.bool_] | None) -> object:
        selector = None if allowed is None else faiss.IDSelectorBatch(np.flatnonzero(allowed))
        if self.kind == "flat":
            return faiss.SearchParameters(sel=selector)
        return faiss.SearchParametersHNSW(sel=selector, efSearch=max(HNSW_SEARCH_WIDTH, 2 * k))
