"""Metrics of recommended lists, one value a user: how right they are, and what else they are.

Every per-user array is [U] in the order of the users, NaN where the metric is not defined for that user.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any

import numpy as np
import numpy.typing as npt

CUTOFFS = (5, 10, 20)
HEAD_SHARE = 0.8
Values = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.floating[Any]]


def ranking_metrics(
    ranked: Sequence[Sequence[str]], wanted: Sequence[Set[str]], cutoffs: Sequence[int] = CUTOFFS
) -> dict[str, float]:
    """Return the means of `user_metrics` over the users who want something; empty if nobody does."""
    return mean_metrics(user_metrics(ranked, wanted, cutoffs))


def user_metrics(
    ranked: Sequence[Sequence[str]], wanted: Sequence[Set[str]], cutoffs: Sequence[int] = CUTOFFS
) -> dict[str, Values]:
    """Return HR, Precision, Recall, F1, NDCG, MRR and MAP at each cutoff, arrays [U] within 0..1.

    `ranked` are item ids, best first; `wanted` are the right ones, NaN for a user with none. Gain is binary. The ideal
    list of NDCG (Jarvelin & Kekalainen, 2002) and MAP has min(k, number wanted) hits. Precision divides by k even where
    a list is shorter. Raises ValueError if a list has an item twice: its second hit would count again.
    """
    hits = _hits(ranked, wanted, max(cutoffs))
    counts = np.array([len(right) for right in wanted], dtype=np.float64)
    counts[counts == 0] = np.nan
    return {f"{name}@{k}": values for k in cutoffs for name, values in _metrics_at(k, hits, counts).items()}


def mean_metrics(per_user: Mapping[str, Values]) -> dict[str, float]:
    """Return the mean of each metric over the users for whom it is defined; without those defined for nobody."""
    defined = {name: values[~np.isnan(values)] for name, values in per_user.items()}
    return {name: float(values.mean()) for name, values in defined.items() if len(values)}


def catalogue_coverage(lists: Indices, item_count: int) -> float:
    """Return the share of the catalogue, 0..1, that at least one list [U,n] holds; -1 is no item."""
    return len(np.unique(lists[lists >= 0])) / item_count


def novelty(lists: Indices, popularity: Numbers) -> Values:
    """Return each list's mean self-information in bits, -log2 of an item's share of all events: [U], at least 0.

    Zhou et al. (2010); Vargas & Castells (2011). `lists` [U,n] hold item indices, -1 for none; `popularity` [N] counts
    events. An item without events counts as one with a single event, or it would be infinitely new.
    """
    counts = np.maximum(popularity.astype(np.float64), 1.0)
    return mean_over_list(-np.log2(counts / popularity.sum(dtype=np.float64)), lists)


def intra_list_diversity(lists: Indices, vectors: npt.NDArray[Any]) -> Values:
    """Return 1 - the mean cosine of all pairs in each list: [U], 0..2, and 0..1 if no vector has negative parts.

    `lists` [U,n] hold item indices, -1 for none; `vectors` [N,D] may be embeddings or multi-hot categories. A vector of
    zeros is like no other. NaN for lists of fewer than two items. Ziegler et al. (2005), with cosine as similarity.
    """
    used, rows = np.unique(lists, return_inverse=True)
    units = _unit_vectors(vectors[used]) * (used >= 0)[:, None]
    rows = rows.reshape(lists.shape)
    # |sum of v|^2 = sum over all ordered pairs + sum of |v|^2: no [U,n,n] array is needed.
    total = np.zeros((len(lists), vectors.shape[1]))
    for column in rows.T:
        total += units[column]
    own = (units**2).sum(axis=1)[rows].sum(axis=1)
    lengths = (lists >= 0).sum(axis=1)
    cosines = mean_of_sums((total**2).sum(axis=1) - own, lengths * (lengths - 1))
    return np.clip(1.0 - cosines, 0.0, 2.0)


def popularity_bias(recommended: Values, owned: Values) -> float:
    """Return how many times as popular as what users have is what they are recommended; 1 is unbiased.

    Both are [U], the mean popularity of each user's list and of each user's history. The ratio of their means is 1 plus
    the delta GAP of Abdollahpouri et al. (2019). NaN if no user has both or
    no item of theirs has an event.
    """
    both = ~(np.isnan(recommended) | np.isnan(owned))
    held = owned[both].sum()
    return float(recommended[both].sum() / held) if held else float("nan")


def head_items(popularity: Numbers, share: float = HEAD_SHARE) -> npt.NDArray[np.bool_]:
    """Return [N]: the fewest items, most popular first and ties by index, that make `share` of all events."""
    order = np.argsort(-popularity, kind="stable")
    reached = np.cumsum(popularity[order], dtype=np.float64)
    head = np.zeros(len(popularity), dtype=bool)
    head[order[: np.searchsorted(reached, share * reached[-1]) + 1]] = True
    return head


def mean_over_list(values: Numbers, lists: Indices) -> Values:
    """Return the mean of the items' values [N] over each list [U,n], where -1 is no item: [U], NaN for empty lists."""
    return mean_of_sums(np.append(values, 0.0)[lists].sum(axis=1), (lists >= 0).sum(axis=1))


def mean_of_sums(sums: npt.NDArray[Any], counts: Indices) -> Values:
    """Return sums / counts, both [U], NaN where nothing was counted."""
    means: Values = np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)
    return means


def _hits(ranked: Sequence[Sequence[str]], wanted: Sequence[Set[str]], depth: int) -> npt.NDArray[np.bool_]:
    hits = np.zeros((len(wanted), depth), dtype=bool)
    for row, (items, right) in enumerate(zip(ranked, wanted, strict=True)):
        top = items[:depth]
        if len(set(top)) < len(top):
            raise ValueError(f"list {row} has an item twice: {list(top)}; each may stand in it once")
        hits[row, : len(top)] = [item in right for item in top]
    return hits


def _metrics_at(k: int, hits: npt.NDArray[np.bool_], counts: Values) -> dict[str, Values]:
    top, places = hits[:, :k], np.arange(1, k + 1)
    found, best = top.sum(axis=1), np.minimum(counts, k)
    discount = 1.0 / np.log2(places + 1.0)
    # Row m - 1 holds m hits and is summed as `top` is, so that a perfect list gives exactly 1.
    ideal = (np.tri(k, dtype=bool) * discount).sum(axis=1)
    metrics = {
        "HR": (found > 0).astype(np.float64),
        "Precision": found / k,
        "Recall": found / counts,
        "F1": 2.0 * found / (k + counts),
        "NDCG": (top * discount).sum(axis=1) / ideal[np.nan_to_num(best, nan=1.0).astype(np.int64) - 1],
        "MRR": (top / places).max(axis=1),
        "MAP": (top * np.cumsum(top, axis=1) / places).sum(axis=1) / best,
    }
    return {name: np.where(np.isnan(counts), np.nan, values) for name, values in metrics.items()}


def _unit_vectors(vectors: npt.NDArray[Any]) -> Values:
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    units: Values = vectors / np.where(lengths > 0, lengths, 1.0)
    return units
