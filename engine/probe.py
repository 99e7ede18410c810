"""Probe: raw histories with the answers that a bundle gave when it was made."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from engine.errors import BundleError
from engine.events import Event, History
from engine.query import Query
from engine.recommendation import Recommendation
from engine.recommender import Recommender
from engine.unreadable import unreadable

TOLERANCE = 1e-3
PROBE_ITEMS = 10
MOST_CASES, MOST_EVENTS, MOST_ITEMS = 1_000, 1_000_000, 100


@dataclass(frozen=True, slots=True)
class ProbeCase:
    """A history and the answer that is expected for it."""

    events: Annotated[tuple[Event, ...], Field(max_length=MOST_EVENTS)]
    source: str
    item_ids: Annotated[tuple[str, ...], Field(max_length=MOST_ITEMS)]
    scores: Annotated[tuple[Annotated[float, Field(allow_inf_nan=False)], ...], Field(max_length=MOST_ITEMS)]

    @property
    def history(self) -> History:
        """What the answer is for."""
        return History.of(self.events)


CASES = TypeAdapter(Annotated[list[ProbeCase], Field(max_length=MOST_CASES)])


@dataclass(frozen=True, slots=True)
class Probe:
    """The cases that a service recomputes before it says that it is ready."""

    cases: tuple[ProbeCase, ...]

    @classmethod
    def record(cls, recommender: Recommender, histories: Sequence[History]) -> Probe:
        """Ask the recommender and keep what it answers."""
        answers = recommender.recommend([Query(history, PROBE_ITEMS) for history in histories])
        return cls(tuple(_case(history, answer) for history, answer in zip(histories, answers, strict=True)))

    def check(self, recommender: Recommender) -> None:
        """Recompute every case one by one, as the service does; raises BundleError at the first that differs."""
        for number, case in enumerate(self.cases):
            history = case.history
            with unreadable(f"probe.json: case {number}", "train again"):
                got = _case(history, recommender.recommend([Query(history, max(len(case.item_ids), 1))])[0])
            if not _equal(case, got):
                raise BundleError(
                    f"probe.json: case {number} gives {got.item_ids[:3]} {got.scores[:3]} by {got.source},"
                    f" expected {case.item_ids[:3]} {case.scores[:3]} by {case.source};"
                    " the bundle does not compute here what it computed where it was trained: train again"
                )

    def to_json(self) -> bytes:
        """Encode as JSON."""
        return json.dumps([asdict(case) for case in self.cases], ensure_ascii=False).encode()

    @classmethod
    def from_json(cls, encoded: bytes) -> Probe:
        """Decode what `to_json` wrote; raises BundleError on anything else."""
        try:
            return cls(tuple(CASES.validate_json(encoded)))
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            raise BundleError(f"probe.json: {place}: {first['msg']}; train again") from error


def _case(history: History, answer: Recommendation) -> ProbeCase:
    return ProbeCase(
        history.events,
        answer.source,
        tuple(item.item_id for item in answer.items),
        tuple(item.score for item in answer.items),
    )


def _equal(wanted: ProbeCase, got: ProbeCase) -> bool:
    if wanted.source != got.source or len(wanted.scores) != len(got.scores):
        return False
    # Spelled so that what is no number is equal to nothing.
    if not all(abs(a - b) <= TOLERANCE for a, b in zip(wanted.scores, got.scores, strict=True)):
        return False
    # Items whose scores are equal within the tolerance may stand in either order on another processor, and the last
    # one may give way to its equal.
    own = dict(zip(got.item_ids, got.scores, strict=True))
    last = wanted.scores[-1] + TOLERANCE if wanted.scores else 0.0
    return all(
        abs(own.get(item_id, float("-inf")) - score) <= TOLERANCE or (item_id not in own and score <= last)
        for item_id, score in zip(wanted.item_ids, wanted.scores, strict=True)
    )
