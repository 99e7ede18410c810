"""ItemMap: the item vectors seen from where they spread most, coloured by category."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.bundle import Bundle
from training.report.titles import Titles

MOST_ITEMS = 2_000
# Distinct for the colour-blind, on white and on black (after Paul Tol's "bright" and "vibrant").
COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#ee7733", "#009988")
OTHER, OTHER_COLOUR = "other", "#999999"
DESCRIBED = 8
NEAREST = 4
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Kind:
    """One colour of the map: a category, and the rows of the items that have it first."""

    name: str
    colour: str
    rows: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """An item and those whose vectors point most nearly the same way."""

    title: str
    nearest: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ItemMap:
    """The most popular items, most popular first: points [n,2], popularity [n], titles; and their colours."""

    points: Floats
    popularity: npt.NDArray[np.float32]
    titles: tuple[str, ...]
    kinds: tuple[Kind, ...]
    explained: float
    """The share of the vectors' variance that the two directions show."""
    neighbourhoods: tuple[Neighbourhood, ...]

    @classmethod
    def of(cls, bundle: Bundle) -> ItemMap | None:
        """Project the first source's item vectors without their bias; None where it has no vectors that differ."""
        first = bundle.encoded.get(bundle.manifest.sources[0].name)
        if first is None:
            return None
        drawn = bundle.items.popular.first(MOST_ITEMS)
        units = _units(np.asarray(first.vectors.outputs[drawn, :-1], dtype=np.float64))
        projected = _projected(units)
        if projected is None:
            return None
        points, explained = projected
        words = Titles(bundle.items)
        item_ids = [bundle.items.vocabulary.id_of(index) for index in drawn.tolist()]
        titles = tuple(words.of(item_id) for item_id in item_ids)
        kinds = _kinds([next(iter(words.categories(item_id)), OTHER) for item_id in item_ids])
        popularity = bundle.items.columns["popularity"][drawn]
        return cls(points, popularity, titles, kinds, explained, _neighbourhoods(units, titles))

    @property
    def has_categories(self) -> bool:
        """Whether colours mean anything."""
        return any(kind.name != OTHER for kind in self.kinds)


def _units(vectors: Floats) -> Floats:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    units: Floats = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    return units


def _projected(units: Floats) -> tuple[Floats, float] | None:
    """Return the two principal components [n,2] and their share of the variance."""
    if min(units.shape) < 2:
        return None
    left, spread, right = np.linalg.svd(units - units.mean(axis=0), full_matrices=False)
    if spread[1] <= 1e-9:
        return None
    # Either sign is right; a fixed one makes the same training draw the same map.
    signs = np.sign(right[np.arange(2), np.abs(right[:2]).argmax(axis=1)])
    return left[:, :2] * spread[:2] * signs, float((spread[:2] ** 2).sum() / (spread**2).sum())


def _kinds(first_categories: Sequence[str]) -> tuple[Kind, ...]:
    """Group the rows by category: the most frequent ones have a colour each, the rest is "other"."""
    counted = Counter(name for name in first_categories if name != OTHER).most_common(len(COLOURS))
    colours = {name: colour for (name, _), colour in zip(counted, COLOURS, strict=False)} | {OTHER: OTHER_COLOUR}
    rows: dict[str, list[int]] = {name: [] for name in colours}
    for row, name in enumerate(first_categories):
        rows[name if name in colours else OTHER].append(row)
    return tuple(Kind(name, colours[name], tuple(own)) for name, own in rows.items() if own)


def _neighbourhoods(units: Floats, titles: Sequence[str]) -> tuple[Neighbourhood, ...]:
    cosines = units[:DESCRIBED] @ units.T
    own = np.arange(len(cosines))
    cosines[own, own] = -np.inf
    nearest = np.argsort(-cosines, axis=1, kind="stable")[:, : min(NEAREST, len(titles) - 1)]
    return tuple(Neighbourhood(titles[row], tuple(titles[other] for other in nearest[row])) for row in own.tolist())
