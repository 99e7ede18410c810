"""Probe: raw histories with the answers that a bundle gave when it was made."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from engine.errors import BundleError
from engine.events import Event, History
from engine.query import Query
from engine.recommendation import Recommendation
from engine.recommender import Recommender

TOLERANCE = 1e-3
PROBE_ITEMS = 10


@dataclass(frozen=True, slots=True)
class ProbeCase:
    """A history and the answer that is expected for it."""

    events: tuple[Event, ...]
    source: str
    item_ids: tuple[str, ...]
    scores: tuple[float, ...]


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
            history = History.of(case.events)
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
            return cls(tuple(_decode(case) for case in json.loads(encoded)))
        except (ValueError, TypeError, KeyError) as error:
            raise BundleError(f"probe.json is not a list of cases ({error}); train again") from error


def _decode(case: dict[str, object]) -> ProbeCase:
    events = tuple(Event(**event) for event in case.pop("events"))  # type: ignore[attr-defined]
    source, item_ids, scores = str(case["source"]), case["item_ids"], case["scores"]
    return ProbeCase(events, source, tuple(item_ids), tuple(scores))  # type: ignore[arg-type]


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
    if any(abs(a - b) > TOLERANCE for a, b in zip(wanted.scores, got.scores, strict=True)):
        return False
    # Items whose scores are equal within the tolerance may stand in either order on another processor, and the last
    # one may give way to its equal.
    own = dict(zip(got.item_ids, got.scores, strict=True))
    last = wanted.scores[-1] + TOLERANCE if wanted.scores else 0.0
    return all(
        abs(own.get(item_id, float("-inf")) - score) <= TOLERANCE or (item_id not in own and score <= last)
        for item_id, score in zip(wanted.item_ids, wanted.scores, strict=True)
    )
