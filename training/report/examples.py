"""Examples: a few users, what they did last, and what they are recommended."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.events import Event
from training.baselines import Lists
from training.evaluation import Evaluation
from training.interactions import histories_of
from training.report.run import Run
from training.report.titles import Titles, readable

USERS = 5
PAST = 6
SHOWN = 10
NAMED = 3


@dataclass(frozen=True, slots=True)
class Past:
    """An event of the history: the title, and the rating or the kind of event."""

    title: str
    value: str


@dataclass(frozen=True, slots=True)
class Shown:
    """A recommended item; a hit is what the user really took next."""

    title: str
    categories: str
    is_hit: bool


@dataclass(frozen=True, slots=True)
class Example:
    """One user; `past` is newest first, `missed` are titles that were held out and are not among the items shown."""

    user_id: str
    events: int
    past: tuple[Past, ...]
    shown: tuple[Shown, ...]
    missed: tuple[str, ...]
    missed_more: int
    """How many more were missed than are named."""


def examples_of(run: Run) -> list[Example]:
    """Return users drawn by the seed: of those with test events, else of all."""
    evaluation, lists = _drawn(run)
    titles = Titles(run.bundle.recommender().items)
    return [_example(titles, evaluation, row, lists[row][:SHOWN]) for row in range(len(evaluation))]


def _drawn(run: Run) -> tuple[Evaluation, Lists]:
    random, test = np.random.default_rng(run.config.seed), run.test
    if not len(test):
        known = run.preparation.known
        everyone = known["user_id"].unique().sort().to_list()
        user_ids = [everyone[row] for row in _rows(random, len(everyone))]
        anyone = Evaluation(tuple(user_ids), tuple(histories_of(known, user_ids)), (frozenset(),) * len(user_ids))
        return anyone, anyone.lists(run.bundle.recommender(), SHOWN)
    rows = _rows(random, len(test))
    drawn = Evaluation(
        tuple(test.user_ids[row] for row in rows),
        tuple(test.histories[row] for row in rows),
        tuple(test.wanted[row] for row in rows),
    )
    return drawn, [run.lists[run.served][row] for row in rows]


def _rows(random: np.random.Generator, count: int) -> list[int]:
    drawn: list[int] = np.sort(random.choice(count, min(USERS, count), replace=False)).tolist()
    return drawn


def _example(titles: Titles, evaluation: Evaluation, row: int, items: list[str]) -> Example:
    events, wanted = evaluation.histories[row].events, evaluation.wanted[row]
    missed = sorted(titles.of(item_id) for item_id in wanted.difference(items))
    return Example(
        readable(evaluation.user_ids[row]),
        len(events),
        tuple(Past(titles.of(event.item_id), _value(event)) for event in reversed(events[-PAST:])),
        tuple(_shown(titles, item_id, is_hit=item_id in wanted) for item_id in items),
        tuple(missed[:NAMED]),
        max(len(missed) - NAMED, 0),
    )


def _shown(titles: Titles, item_id: str, *, is_hit: bool) -> Shown:
    return Shown(titles.of(item_id), ", ".join(titles.categories(item_id)[:NAMED]), is_hit)


def _value(event: Event) -> str:
    return readable(event.kind) if event.value is None else f"{event.value:g}"
