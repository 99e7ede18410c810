"""Ranking metrics over full rankings, one user at a time, then averaged."""

from __future__ import annotations

from collections.abc import Sequence, Set

import numpy as np

CUTOFFS = (5, 10, 20)


def ranking_metrics(
    ranked: Sequence[Sequence[str]], wanted: Sequence[Set[str]], cutoffs: Sequence[int] = CUTOFFS
) -> dict[str, float]:
    """Return HR, NDCG, MRR and Recall at each cutoff: `ranked` are item ids best first, `wanted` the right ones.

    Binary gain; the ideal list of NDCG has min(k, number wanted) hits (Jarvelin & Kekalainen, 2002). Users with nothing
    wanted do not count.
    """
    pairs = [(items, right) for items, right in zip(ranked, wanted, strict=True) if right]
    if not pairs:
        return {}
    depth = max(cutoffs)
    hits = np.array(
        [[item in right for item in items[:depth]] + [False] * (depth - len(items)) for items, right in pairs]
    )
    counts = np.array([len(right) for _, right in pairs])
    discount = 1.0 / np.log2(np.arange(depth) + 2.0)
    result: dict[str, float] = {}
    for k in cutoffs:
        top = hits[:, :k]
        found = top.any(axis=1)
        ideal = np.cumsum(discount)[np.minimum(counts, k) - 1]
        result[f"HR@{k}"] = float(found.mean())
        result[f"NDCG@{k}"] = float(((top * discount[:k]).sum(axis=1) / ideal).mean())
        result[f"MRR@{k}"] = float(np.where(found, 1.0 / (top.argmax(axis=1) + 1), 0.0).mean())
        result[f"Recall@{k}"] = float((top.sum(axis=1) / counts).mean())
    return result
