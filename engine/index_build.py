"""IndexBuild: the index of a plan is made from a table of vectors, on all cores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from engine.index import VectorIndex, graph_of
from engine.index_plan import TRAINED_A_LIST, IndexPlan
from engine.index_settings import IndexSettings
from engine.inverted_index import InvertedIndex
from engine.list_projection import ListProjection
from engine.vector_table import Table, pieces

Floats = npt.NDArray[np.float32]
Progress = Callable[[str, int, int], None]
"""Is told of a stage, what is done of it, and of how much."""
ITERATIONS = 8
FEWEST_TRAINED = 10_000
MOST_TRAINED_CODES = 65_536
CODE_BITS = 4
ALIKE = 0.5
"""How much noise a made-up query has, in standard deviations of the items."""


class IndexBuild:
    """Builds the index of one table [N,E]; `queries` [Q,E] are like those that it will be searched for."""

    def __init__(
        self,
        table: Table,
        plan: IndexPlan,
        queries: Floats | None = None,
        seed: int = 1,
        progress: Progress | None = None,
    ) -> None:
        self._table = table
        self._plan = plan
        self._random = np.random.default_rng(seed)
        self._seed = seed
        self._told = progress
        self.queries = made_up_queries(table, self._random) if queries is None else queries

    def run(self) -> VectorIndex | InvertedIndex:
        """Return the index, untuned; raises RoomError if the memory that is free is too little to build it."""
        self._plan.check_room()
        if self._plan.kind in ("flat", "hnsw"):
            return self._plain()
        return self._inverted()

    def _plain(self) -> VectorIndex:
        index = faiss.IndexFlatIP(self._plan.width) if self._plan.kind == "flat" else graph_of(self._plan.width)
        done = 0
        for vectors in pieces(self._table):
            index.add(np.ascontiguousarray(vectors))
            done += len(vectors)
            self._progress("rows", done, self._plan.count)
        return VectorIndex(index)

    def _inverted(self) -> InvertedIndex:
        plan = self._plan
        sample = self._sample(max(TRAINED_A_LIST * plan.lists, FEWEST_TRAINED))
        # The others measure what was tuned, and must be new to all of it.
        projection = ListProjection.learned(sample, self.queries[::2], plan.code_width)
        projected = projection.items(sample)
        centroids = self._centroids(projected)
        nearest = faiss.IndexFlatL2(plan.code_width)
        nearest.add(centroids)
        index = _empty(plan, nearest)
        index.train(projected[:MOST_TRAINED_CODES])
        self._fill(index, projection)
        # A row is in the list whose centroid is nearest, and a query goes to those with the highest products.
        highest = faiss.IndexFlatIP(plan.code_width)
        highest.add(projection.centroids(centroids, _squares(nearest, projected)))
        index.quantizer, index.own_fields = highest, True
        highest.this.disown()
        return InvertedIndex(index, projection, self._table, IndexSettings(kind=plan.kind, width=plan.lists))

    def _progress(self, stage: str, done: int, total: int) -> None:
        if self._told is not None:
            self._told(stage, done, total)

    def _sample(self, most: int) -> Floats:
        count = len(self._table)
        drawn = np.sort(self._random.choice(count, min(most, count), replace=False))
        vectors: Floats = np.asarray(self._table[drawn], dtype=np.float32)
        self._random.shuffle(vectors)
        return vectors

    def _centroids(self, projected: Floats) -> Floats:
        """Return the means of k-means by distance: lists of what is near, which a product then orders."""
        self._progress("k-means", 0, 1)
        most = len(projected)
        means = faiss.Kmeans(
            self._plan.code_width,
            self._plan.lists,
            niter=ITERATIONS,
            seed=self._seed,
            min_points_per_centroid=1,
            max_points_per_centroid=most,
        )
        means.train(projected)
        self._progress("k-means", 1, 1)
        centroids: Floats = means.centroids
        return centroids

    def _fill(self, index: Any, projection: ListProjection) -> None:  # noqa: ANN401
        done = 0
        for vectors in pieces(self._table):
            index.add(np.ascontiguousarray(projection.items(vectors)))
            done += len(vectors)
            self._progress("rows", done, self._plan.count)


def _squares(nearest: Any, projected: Floats) -> Floats:  # noqa: ANN401
    """Return the mean squared distance [L] of the rows of each list from its centroid, 0 where there are none."""
    distances, lists = nearest.search(projected, 1)
    squares = np.bincount(lists[:, 0], distances[:, 0], minlength=nearest.ntotal)
    sizes = np.bincount(lists[:, 0], minlength=nearest.ntotal)
    return (squares / np.maximum(sizes, 1)).astype(np.float32)


def made_up_queries(table: Table, random: np.random.Generator, count: int = 512) -> Floats:
    """Return vectors [count,E] that stand for those of users: means of a few items, beside what all items share."""
    drawn = random.integers(len(table), size=(count, 3))
    some = np.asarray(table[np.sort(random.integers(len(table), size=10_000))], dtype=np.float32)
    spread = some.std(axis=0)
    noise = ALIKE * random.normal(size=(count, len(spread))) * spread
    queries: Floats = (table[drawn].mean(axis=1) - some.mean(axis=0) + noise).astype(np.float32)
    return queries


def _empty(plan: IndexPlan, nearest: Any) -> Any:  # noqa: ANN401
    given = nearest, plan.code_width, plan.lists
    if plan.kind == "ivf":
        kind = faiss.ScalarQuantizer.QT_8bit
        index = faiss.IndexIVFScalarQuantizer(*given, kind, faiss.METRIC_INNER_PRODUCT, False)
    else:
        # A half-byte for each number: sixteen products lie in one register (Andre et al., 2015).
        index = faiss.IndexIVFPQFastScan(*given, plan.code_width, CODE_BITS, faiss.METRIC_INNER_PRODUCT)
        index.by_residual = True
        index.pq.cp.min_points_per_centroid = 1
    return index
