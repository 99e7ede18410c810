"""facts_of: content and co-occurrence of the items as numbers, for the networks that start from them."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.item_facts import ItemFacts
from training.interactions import Interactions

FACTORS = 16
MOST_CATEGORIES = 64
SHRINKAGE = 3.0
Floats = npt.NDArray[np.float32]


def facts_of(interactions: Interactions, metadata: tuple[bytes, ...]) -> ItemFacts:
    """Count over the interactions (those of training) and read the metadata (may be empty)."""
    described = [json.loads(each) for each in metadata]
    features = [_factors(interactions), _log_popularity(interactions), *_content(described)]
    mean, biases = _biases(interactions)
    return ItemFacts(torch.from_numpy(np.concatenate(features, axis=1)), biases, mean, len(interactions.ratings))


def _factors(interactions: Interactions) -> Floats:
    """Return the item side [N,16] of a truncated SVD of who has met what, both sides' counts normalised."""
    columns, count = interactions.columns, len(interactions.vocabulary)
    users = len(columns.offsets) - 1
    owner = np.repeat(np.arange(users), np.diff(columns.offsets))
    of_user, of_item = np.diff(columns.offsets)[owner], interactions.popularity[columns.item_index]
    weights = 1.0 / np.sqrt((of_user + 1.0) * (of_item + 5.0))
    places = torch.from_numpy(np.stack((owner, columns.item_index)))
    met = torch.sparse_coo_tensor(places, torch.from_numpy(weights).float(), (users, count), check_invariants=False)
    rank = min(FACTORS, users, count)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        _, sizes, items = torch.svd_lowrank(met.coalesce(), q=min(rank + 10, users, count), niter=6)
    scaled: Floats = (items[:, :rank] * np.sqrt(count) * (sizes[:rank] / sizes[0].clamp(min=1e-12))).numpy()
    return scaled.astype(np.float32)


def _log_popularity(interactions: Interactions) -> Floats:
    counts = np.log1p(interactions.popularity)
    centred: Floats = (counts - counts.mean())[:, None].astype(np.float32)
    return centred


def _content(described: list[dict[str, object]]) -> list[Floats]:
    """Return categories as 0 or 1 [N,C], and the year with its square [N,2], standardised; what is absent adds none."""
    listed = [each.get("categories") or [] for each in described]
    counts = Counter(name for names in listed if isinstance(names, list) for name in names)
    place = {name: column for column, (name, _) in enumerate(sorted(counts.most_common(MOST_CATEGORIES)))}
    flags = np.zeros((len(described), len(place)), dtype=np.float32)
    for row, names in enumerate(listed):
        known = [place[name] for name in names if name in place] if isinstance(names, list) else []
        flags[row, known] = 1.0
    return [flags, *_years(described)] if described else []


def _years(described: list[dict[str, object]]) -> list[Floats]:
    years = np.array([each.get("year") or np.nan for each in described], dtype=np.float64)
    if np.isnan(years).all():
        return []
    filled = np.where(np.isnan(years), np.nanmedian(years), years)
    standard = (filled - filled.mean()) / max(filled.std(), 1e-6)
    return [np.stack((standard, standard**2 / 2), axis=1).astype(np.float32)]


def _biases(interactions: Interactions) -> tuple[float, Tensor]:
    """Return the mean value in 0..1 and how far each item's mean stands from it, shrunk by three events."""
    columns, count = interactions.columns, len(interactions.vocabulary)
    mean = float(columns.value.mean())
    sums = np.bincount(columns.item_index, columns.value - mean, count)
    return mean, torch.from_numpy(sums / (interactions.popularity + SHRINKAGE)).float()
