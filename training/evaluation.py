"""Evaluation: a recommender's answers against held-out events, through the served path."""

from __future__ import annotations

from collections.abc import Collection, Sequence, Set
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from engine.bundle import Bundle
from engine.events import History
from engine.query import Query
from engine.recommender import Recommender
from engine.vocabulary import Vocabulary
from training.interactions import histories_of
from training.metrics import (
    CUTOFFS,
    Indices,
    Numbers,
    Values,
    catalogue_coverage,
    head_items,
    intra_list_diversity,
    mean_metrics,
    mean_of_sums,
    mean_over_list,
    novelty,
    popularity_bias,
    ranking_metrics,
    user_metrics,
)
from training.significance import RESAMPLES, bootstrap_intervals

# Users by the number of events in their history: up to 5, up to 50, more.
USER_GROUPS = ("new", "few", "many")
USER_GROUP_BORDERS = (5, 50)
LIST_LENGTH = max(CUTOFFS)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The items that could be recommended: popularity [N], their numbers of training events; vectors [N,D] or None.

    Vectors are what diversity compares: embeddings (without a bias dimension) or multi-hot categories.
    """

    vocabulary: Vocabulary
    popularity: Numbers
    vectors: npt.NDArray[Any] | None = None

    @classmethod
    def of(cls, bundle: Bundle) -> Catalogue:
        """Return a bundle's items, newcomers last, with the vectors of its first source."""
        name, content = bundle.manifest.sources[0].name, bundle.items_content
        first, popularity = bundle.encoded.get(name), bundle.items.columns["popularity"]
        vectors = None if first is None else first.vectors.outputs
        vocabulary: Vocabulary = bundle.items.vocabulary
        if content is not None and len(new := content.newcomers.vocabulary):
            vocabulary = Vocabulary((*vocabulary.ids(), *new.ids()))
            popularity = np.pad(popularity, (0, len(new)))
            if vectors is not None:
                given = content.newcomers.vectors
                _, made = content.item_towers()[name].vectors(given)
                vectors = np.concatenate((vectors, made * given.any(axis=1, keepdims=True)))
        # The last dimension is a bias, which says nothing of what an item is like.
        return cls(vocabulary, popularity, None if vectors is None else vectors[:, :-1])

    def __post_init__(self) -> None:
        for name, array in (("popularity", self.popularity), ("vectors", self.vectors)):
            if array is not None and len(array) != len(self.vocabulary):
                raise ValueError(f"{name} is for {len(array)} items but the vocabulary has {len(self.vocabulary)}")
        if not self.popularity.sum() > 0 or self.popularity.min() < 0:
            raise ValueError("popularity counts training events: none below 0, and at least one above")

    def indices(self, lists: Sequence[Sequence[str]]) -> Indices:
        """Return lists of ids as item indices [U,n], -1 after the end of a short list; ValueError on unknown ids."""
        lengths = _lengths(lists)
        flat = self.vocabulary.indices_of(chain.from_iterable(lists))
        if (flat < 0).any():
            unknown = next(item for item in chain.from_iterable(lists) if item not in self.vocabulary)
            raise ValueError(f"item {unknown!r} is recommended but not in the catalogue; give the one that is served")
        indices = np.full((len(lists), lengths.max(initial=0)), -1, dtype=np.int64)
        indices[np.arange(indices.shape[1]) < lengths[:, None]] = flat
        return indices

    def owned_popularity(self, histories: Sequence[History]) -> Values:
        """Return the mean popularity of the items in each history [U], each counted once; NaN where none is known."""
        seen = [history.seen() for history in histories]
        flat = self.vocabulary.indices_of(chain.from_iterable(seen))
        user = np.repeat(np.arange(len(seen)), _lengths(seen))[flat >= 0]
        sums = np.bincount(user, self.popularity[flat[flat >= 0]], minlength=len(seen))
        counts = np.bincount(user, minlength=len(seen))
        return mean_of_sums(sums, counts)

    def head(self) -> frozenset[str]:
        """Return the most popular items, which together have 80 % of the training events."""
        return frozenset(self.vocabulary.id_of(index) for index in np.flatnonzero(head_items(self.popularity)).tolist())


@dataclass(frozen=True, slots=True)
class Examination:
    """All that was measured of one recommender's lists, at each cutoff.

    means: HR, Precision, Recall, F1, NDCG, MRR, MAP.
    per_user: the same and Novelty and Diversity, arrays [U] in the order of the users, NaN where undefined.
    intervals: the 95 % bootstrap intervals of the means of per_user.
    beyond_accuracy: Coverage, Novelty, PopularityBias and, if there are vectors, Diversity.
    by_user_group: means for "new", "few" and "many" (at most 5, at most 50, more events in the history).
    by_item_group: means where only the wanted items of the "head" or the "tail" count (see `Catalogue.head`; an item
    without training events is tail). "users" is the number of users behind a group's means; empty groups are left out.
    """

    users: int
    means: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    per_user: dict[str, Values]
    beyond_accuracy: dict[str, float]
    by_user_group: dict[str, dict[str, float]]
    by_item_group: dict[str, dict[str, float]]

    def as_dict(self) -> dict[str, Any]:
        """Return everything but the per-user arrays, ready for JSON."""
        return {
            "users": self.users,
            "means": self.means,
            "intervals": {name: list(interval) for name, interval in self.intervals.items()},
            "beyond_accuracy": self.beyond_accuracy,
            "by_user_group": self.by_user_group,
            "by_item_group": self.by_item_group,
        }


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Users with their histories and the items that should come first."""

    user_ids: tuple[str, ...]
    histories: tuple[History, ...]
    wanted: tuple[frozenset[str], ...]

    @classmethod
    def of(cls, known: pl.DataFrame, held_out: pl.DataFrame, most: int | None = None, seed: int = 0) -> Evaluation:
        """Take the histories from `known` and the wanted items from `held_out`; at most `most` users, drawn by seed."""
        targets = held_out.group_by("user_id", maintain_order=True).agg("item_id").sort("user_id")
        if most is not None and len(targets) > most:
            drawn = np.random.default_rng(seed).choice(len(targets), most, replace=False)
            targets = targets[np.sort(drawn)]
        user_ids = tuple(targets["user_id"])
        wanted = tuple(frozenset(items) for items in targets["item_id"].to_list())
        return cls(user_ids, tuple(histories_of(known, user_ids)), wanted)

    def __len__(self) -> int:
        return len(self.user_ids)

    def lists(self, recommender: Recommender, n: int = LIST_LENGTH) -> list[list[str]]:
        """Return the ids that the recommender answers each user with, best first, as the service would serve them."""
        answers = recommender.recommend([Query(history, n) for history in self.histories])
        return [[item.item_id for item in answer.items] for answer in answers]

    def measure(self, recommender: Recommender) -> dict[str, float]:
        """Return the ranking metrics of the recommender's answers."""
        return ranking_metrics(self.lists(recommender), self.wanted)

    def examine(
        self, recommender: Recommender, catalogue: Catalogue, *, resamples: int = RESAMPLES, seed: int = 0
    ) -> Examination:
        """Measure all there is of the recommender's answers; `seed` and `resamples` are those of the intervals."""
        return self.examine_lists(self.lists(recommender), catalogue, resamples=resamples, seed=seed)

    def examine_lists(
        self, lists: Sequence[Sequence[str]], catalogue: Catalogue, *, resamples: int = RESAMPLES, seed: int = 0
    ) -> Examination:
        """Measure one list of ids a user, whatever made them: a baseline's stand beside a recommender's."""
        accuracy = user_metrics(lists, self.wanted)
        indices = catalogue.indices(lists)
        other = _of_each_list(indices, catalogue)
        owned = catalogue.owned_popularity(self.histories)
        return Examination(
            users=len(self),
            means=mean_metrics(accuracy),
            intervals=bootstrap_intervals(accuracy | other, resamples=resamples, seed=seed),
            per_user=accuracy | other,
            beyond_accuracy=_of_all_lists(indices, owned, catalogue) | mean_metrics(other),
            by_user_group=_by_user_group(accuracy | other, self.histories),
            by_item_group=_by_item_group(lists, self.wanted, catalogue.head()),
        )


def _lengths(parts: Sequence[Collection[object]]) -> Indices:
    return np.array([len(part) for part in parts], dtype=np.int64)


def _of_each_list(lists: Indices, catalogue: Catalogue) -> dict[str, Values]:
    metrics = {f"Novelty@{k}": novelty(lists[:, :k], catalogue.popularity) for k in CUTOFFS}
    if catalogue.vectors is None:
        return metrics
    return metrics | {f"Diversity@{k}": intra_list_diversity(lists[:, :k], catalogue.vectors) for k in CUTOFFS}


def _of_all_lists(lists: Indices, owned: Values, catalogue: Catalogue) -> dict[str, float]:
    metrics = {f"Coverage@{k}": catalogue_coverage(lists[:, :k], len(catalogue.vocabulary)) for k in CUTOFFS}
    for k in CUTOFFS:
        metrics[f"PopularityBias@{k}"] = popularity_bias(mean_over_list(catalogue.popularity, lists[:, :k]), owned)
    return {name: value for name, value in metrics.items() if not np.isnan(value)}


def _by_user_group(per_user: dict[str, Values], histories: Sequence[History]) -> dict[str, dict[str, float]]:
    group = np.digitize(_lengths([history.events for history in histories]), USER_GROUP_BORDERS, right=True)
    rows = {name: np.flatnonzero(group == number) for number, name in enumerate(USER_GROUPS)}
    return {
        name: {"users": len(own)} | mean_metrics({metric: values[own] for metric, values in per_user.items()})
        for name, own in rows.items()
        if len(own)
    }


def _by_item_group(
    lists: Sequence[Sequence[str]], wanted: Sequence[Set[str]], head: frozenset[str]
) -> dict[str, dict[str, float]]:
    groups = {"head": [right & head for right in wanted], "tail": [right - head for right in wanted]}
    return {
        name: {"users": sum(map(bool, own))} | ranking_metrics(lists, own) for name, own in groups.items() if any(own)
    }
