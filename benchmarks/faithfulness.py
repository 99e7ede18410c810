"""Whether `because` tells the truth: rank correlation of weights with the drops that taking items out really causes.

    python benchmarks/faithfulness.py --bundle BUNDLE [--data ml-100k | FOLDER] [--users 200] [--seed 1]
        [--retrieved] [--choosing] [--label NAME]

For the 10 best items of a user, each item of the newest 50 events is taken out of the history, and the score is
computed again through the whole path with the same candidates: the drop. Spearman's correlation of a weight with the
drop over the items of a history is averaged over all pairs of user and recommended item; its interval is a bootstrap
over users.
What is shown was chosen on 200 users of ml-100k-loo, whom --choosing measures; otherwise it is measured on others.
--retrieved explains the first source's scores, without the ranker.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import result

from engine.bundle import Bundle
from engine.events import History
from engine.explanation import Explainer
from engine.features import Candidates
from engine.indexed_source import IndexedSource
from engine.ranking import HISTORY, NetworkRanker, Ranker, rerank
from engine.recommender import Query, Recommender

# A script finds its own folder first, and there training.py, which is called as the package is.
sys.path.insert(0, str(Path(__file__).parents[1]))
from training.config import TrainingConfig
from training.dataset import open_dataset
from training.interactions import histories_of
from training.preparation import Preparation

Floats = npt.NDArray[np.floating]
Indices = npt.NDArray[np.int64]
N = 10
CHOSEN_ON = 200
ATTENTION, SHOWN, RANDOM = "attention as it is", "shown", "random"
ALONE = "taken out of the attention alone"
DEPTH = 200
ASKED, TIMED = 50, 60
FEWEST = 3


@dataclass(frozen=True)
class Case:
    """A user's best items: causes [H], drops [H,n], and weights [H,n] by the names of the ways to find them."""

    history: History
    chosen: Indices
    causes: Indices
    drops: Floats
    weights: dict[str, Floats]


def histories(data: str, users: int, seed: int, *, choosing: bool) -> list[History]:
    """Return the histories of users drawn by seed: of those that the method was chosen on, or of others."""
    preparation = Preparation.of(open_dataset(data, cache=Path("var/data")), TrainingConfig())
    known = preparation.known
    order = sorted(known["user_id"].unique().to_list())
    np.random.default_rng(0).shuffle(order)
    part = np.array(order[:CHOSEN_ON] if choosing else order[CHOSEN_ON:])
    drawn = np.random.default_rng(seed).permutation(part)[:users].tolist()
    return histories_of(known, drawn)


class Measuring:
    """One bundle's recommender, and what is asked of it."""

    def __init__(self, recommender: Recommender, seed: int) -> None:
        self.recommender = recommender
        self.ranker: Ranker | None = recommender._ranker
        self.random = np.random.default_rng(seed)
        parts = recommender.items, recommender.window, recommender.sources
        self.explainer = Explainer(*parts, self.ranker)

    def case(self, history: History) -> Case:
        found = self.recommender.candidates_for([history])
        candidates = found if self.ranker is None else rerank(self.ranker, found)
        chosen = candidates.indices[0][candidates.indices[0] >= 0][:N]
        drops = self.explainer.drops(history, candidates, chosen)
        weights = self._baselines(drops.causes, chosen)
        if (attention := self._attention(found, chosen, drops.causes)) is not None:
            likeness = np.maximum(weights["similarity"], 0.0)
            weights |= {ATTENTION: attention, "attention x similarity": attention * likeness}
            weights[ALONE] = self._attention_alone(history, found, chosen, drops.causes)
        for recent in sorted({0, 16, 24, 32, self.explainer.recent}):
            name = SHOWN if recent == self.explainer.recent else f"estimated, networks reread {recent}"
            # What speaks against an item is never shown, so it weighs nothing.
            estimated = self.explainer.drops(history, candidates, chosen, recent)
            weights[name] = np.maximum(estimated.drops, 0.0)
        return Case(history, chosen, drops.causes, drops.drops, weights)

    def _baselines(self, causes: Indices, chosen: Indices) -> dict[str, Floats]:
        shape = len(causes), len(chosen)
        first = self.recommender.sources[0]
        weights: dict[str, Floats] = {
            RANDOM: self.random.random(shape),
            "recency": np.broadcast_to(-np.arange(shape[0], dtype=float)[:, None], shape),
        }
        if isinstance(first, IndexedSource):
            weights["similarity"] = cosines(first.vectors_of(causes), first.vectors_of(chosen))
        return weights

    def _attention(self, candidates: Candidates, chosen: Indices, causes: Indices) -> Floats | None:
        attention = None if self.ranker is None else self.ranker.rank(candidates).attention
        if attention is None:
            return None
        padding_index = self.recommender.items.vocabulary.padding_index
        events = candidates.rows.cut(HISTORY, padding_index).indices[0]
        own = np.stack([attention[0, candidates.indices[0] == item][0] for item in chosen])
        return np.stack([own[:, events == cause].sum(axis=1) for cause in causes])

    def _attention_alone(self, history: History, candidates: Candidates, chosen: Indices, causes: Indices) -> Floats:
        """Return the drops [H,n] of a ranker that attends to each history without an item, all features held."""
        if not isinstance(self.ranker, NetworkRanker):
            raise TypeError(f"{self.ranker} attends but was not opened from a bundle")
        items, window = self.recommender.items, self.recommender.window
        columns = window.columns([history, *(without for _, without in self.without_each(history, causes))], items)
        rows = window.newest(columns, items.vocabulary.padding_index)
        places = np.array([[int(np.flatnonzero(candidates.indices[0] == item)[0]) for item in chosen]])
        given = self.ranker.inputs(candidates, places)
        held = {name: np.repeat(each, len(rows.lengths), axis=0) for name, each in given.items()}
        blank = np.zeros((len(rows.lengths), 1), dtype=np.int64)
        attended = self.ranker.inputs(replace(candidates, rows=rows, indices=blank, scores=blank.astype(np.float32)))
        history_inputs = {name: attended[name] for name in ("history_vectors", "values", "ages", "lengths")}
        scores = self.ranker.run(held | history_inputs).scores
        return np.maximum(scores[:1] - scores[1:], 0.0)

    def without_each(self, history: History, causes: Indices) -> list[tuple[str, History]]:
        """Return the id of each cause [H], and the history without it."""
        ids = [self.recommender.items.vocabulary.id_of(int(cause)) for cause in causes]
        return [(out, History(tuple(each for each in history.events if each.item_id != out))) for out in ids]

    def asked(self, case: Case) -> Floats:
        """Return the drops [H,n] of the answers to histories without each item; nan where the item is not answered."""
        id_of = self.recommender.items.vocabulary.id_of
        queries = [Query(case.history, DEPTH)] + [
            Query(without, DEPTH, frozenset({out})) for out, without in self.without_each(case.history, case.causes)
        ]
        rows = [
            {item.item_id: item.score for item in answer.items if "popular" not in item.reason}
            for answer in self.recommender.recommend(queries)
        ]
        scores = np.array([[row.get(id_of(int(item)), np.nan) for item in case.chosen] for row in rows])
        return scores[:1] - scores[1:]


def cosines(left: Floats, right: Floats) -> Floats:
    lengths = np.linalg.norm(left, axis=1)[:, None] * np.linalg.norm(right, axis=1)
    return (left @ right.T) / np.maximum(lengths, 1e-9)


def ranks(values: Floats) -> Floats:
    """Return ranks from 0, ties with their mean."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts + 1) / 2)[place]


def spearman(weights: Floats, drops: Floats) -> float:
    """Return the rank correlation of what has a drop; 0 where all weights are alike, nan where all drops are."""
    weights, drops = weights[np.isfinite(drops)], drops[np.isfinite(drops)]
    left, right = (each - each.mean() for each in (ranks(weights), ranks(drops)))
    if not right.any() or len(drops) < 2:
        return np.nan
    lengths = float(np.sqrt((left**2).sum() * (right**2).sum()))
    return float((left * right).sum()) / lengths if lengths else 0.0


def correlations(cases: list[Case], name: str) -> list[list[float]]:
    """Return the correlation of each recommended item, by user."""
    return [
        [spearman(case.weights[name][:, item], case.drops[:, item]) for item in range(len(case.chosen))]
        for case in cases
    ]


def among_shown(cases: list[Case]) -> list[list[float]]:
    """Return the correlations among the at most five causes that an answer shows."""
    found = []
    for case in cases:
        own = []
        for weights, drops in zip(case.weights[SHOWN].T, case.drops.T, strict=True):
            top = [place for place in np.argsort(-weights)[:5] if weights[place] > 0]
            own.append(spearman(weights[top], drops[top]) if len(top) > 1 else np.nan)
        found.append(own)
    return found


def deletions(cases: list[Case], name: str, random: np.random.Generator) -> list[list[float]]:
    """Return whether taking out the top cause lowers a score more than taking out another one, drawn."""
    found = []
    for case in cases:
        own = []
        for weights, drops in zip(case.weights[name].T, case.drops.T, strict=True):
            top = int(np.argmax(weights))
            other = int(random.choice([place for place in range(len(drops)) if place != top]))
            own.append(float(drops[top] > drops[other]))
        found.append(own)
    return found


def mean_and_interval(values: list[list[float]], seed: int) -> dict[str, object]:
    """Return the mean over all pairs, and where 95 % of the means of users drawn again lie."""
    sums = np.array([np.nansum(each) for each in values])
    counts = np.array([np.isfinite(each).sum() for each in values])
    drawn = np.random.default_rng(seed).integers(0, len(values), (2_000, len(values)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return {"mean": round(float(sums.sum() / counts.sum()), 3), "95 %": [round(float(low), 3), round(float(high), 3)]}


def times(recommender: Recommender, found: list[History]) -> dict[str, float]:
    """Return median milliseconds of answers, asked in turn, and what an explained one costs beside a plain one."""
    kinds = {"plain": (False, False), "estimated": (True, False), "counterfactual": (True, True)}
    taken = defaultdict[str, list[float]](list)
    for history in found:
        for name, (explained, measured) in kinds.items():
            query = Query(history, N, is_explained=explained, is_counterfactual=measured)
            started = time.perf_counter()
            recommender.recommend([query])
            taken[name].append(time.perf_counter() - started)
    medians = {name: float(np.median(each)) * 1000 for name, each in taken.items()}
    ratios = {f"{name} / plain": round(medians[name] / medians["plain"], 2) for name in list(kinds)[1:]}
    return {f"{name} ms": round(median, 1) for name, median in medians.items()} | ratios


def rows(measuring: Measuring, cases: list[Case], seed: int) -> dict[str, object]:
    table: dict[str, object] = {name: mean_and_interval(correlations(cases, name), seed) for name in cases[0].weights}
    table["shown, among the five in an answer"] = mean_and_interval(among_shown(cases), seed)
    asked = [replace(case, drops=measuring.asked(case)) for case in cases[:ASKED]]
    table[f"shown, beside {ASKED} users' answers to histories without the item"] = mean_and_interval(
        correlations(asked, SHOWN), seed
    )
    random = np.random.default_rng(seed)
    table["the top cause lowers the score more than another"] = {
        name: mean_and_interval(deletions(cases, name, random), seed)["mean"]
        for name in (ATTENTION, RANDOM, SHOWN)
        if name in cases[0].weights
    }
    table["time"] = times(measuring.recommender, [case.history for case in cases[:TIMED]])
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, default=Path("bundles/demo"))
    parser.add_argument("--data", default="ml-100k")
    parser.add_argument("--users", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--retrieved", action="store_true")
    parser.add_argument("--choosing", action="store_true")
    parser.add_argument("--label", default="")
    options = parser.parse_args()
    bundle = Bundle.open(options.bundle)
    recommender = bundle.recommender()
    recommender = recommender.without_ranker() if options.retrieved else recommender
    measuring = Measuring(recommender, options.seed)
    drawn = histories(options.data, options.users, options.seed, choosing=options.choosing)
    cases = [measuring.case(history) for history in drawn]
    cases = [case for case in cases if len(case.causes) >= FEWEST]
    facts = {
        "bundle": bundle.model_version,
        "data": Path(options.data).name,
        "users": len(cases),
        "seed": options.seed,
        "users are those that the method was chosen on": options.choosing,
    }
    name = "-".join(filter(None, ("faithfulness", options.label)))
    result.write(name, result.command(), rows(measuring, cases, options.seed), **facts)


if __name__ == "__main__":
    main()
