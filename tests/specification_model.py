"""The specification in memory: what every event does to a user, written to be read rather than to be quick."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.events import Event

OPINIONS = ("rating", "like", "dislike")
UNDO = "undo"


@dataclass
class Sent:
    """An event as it was sent; `time` is None until the service tells what its clock said."""

    item_id: str
    kind: str
    rating: float | None
    time: float | None
    event_id: str
    arrival: int = 0
    is_timed_by_service: bool = False

    @property
    def content(self) -> tuple[str, str, float | None]:
        return self.item_id, self.kind, self.rating

    @property
    def order(self) -> tuple[float, int]:
        # What the service times is never older than anything before it, and nothing else is timed as late.
        return (float("inf") if self.is_timed_by_service else self.time or 0.0), self.arrival


@dataclass
class Outcome:
    """What a receipt must say of one event."""

    version: int
    is_duplicate: bool = False
    is_conflict: bool = False
    removed: int = 0


def counting(sent: list[Sent]) -> list[Sent]:
    """Return the events that count, oldest first: of an item's opinions and undoings only the newest, if no undoing."""
    ordered = sorted(sent, key=lambda each: each.order)
    newest = {each.item_id: each for each in ordered if each.kind in (*OPINIONS, UNDO)}
    return [
        each
        for each in ordered
        if each.kind not in (*OPINIONS, UNDO) or (each is newest[each.item_id] and each.kind != UNDO)
    ]


@dataclass
class UserModel:
    """One user. Of the events that count only the newest `limit` are the history; all of them are seen."""

    user_id: str
    limit: int
    forgotten_at: int = 0
    log: list[Sent] = field(default_factory=list)
    outcomes: dict[str, tuple[tuple[str, str, float | None], Outcome]] = field(default_factory=dict)
    trimmed: set[int] = field(default_factory=set)

    @property
    def version(self) -> int:
        """What reads say; a forgotten user is unknown until the next event."""
        return self.log[-1].arrival if self.log else 0

    def write(self, event: Sent) -> Outcome:
        if event.event_id in self.outcomes:
            content, first = self.outcomes[event.event_id]
            is_same = content == event.content
            return Outcome(first.version, is_same, not is_same, first.removed)
        had = self._opinion_on(event.item_id)
        event.arrival = (self.version or self.forgotten_at) + 1
        self.log.append(event)
        history = self.history()
        self.trimmed |= {each.arrival for each in history[: max(len(history) - self.limit, 0)]}
        removed = int(event.kind == UNDO and had and not self._opinion_on(event.item_id))
        outcome = Outcome(event.arrival, removed=removed)
        self.outcomes[event.event_id] = event.content, outcome
        return outcome

    def forget(self) -> None:
        self.forgotten_at = self.version or self.forgotten_at
        self.log.clear()
        self.outcomes.clear()
        self.trimmed.clear()

    def history(self) -> list[Sent]:
        """Oldest first."""
        return [each for each in counting(self.log) if each.arrival not in self.trimmed]

    def seen(self) -> set[str]:
        return {each.item_id for each in counting(self.log)}

    def events(self) -> list[Event]:
        return [as_event(self.user_id, each) for each in self.history()]

    def _opinion_on(self, item_id: str) -> bool:
        return any(each.item_id == item_id and each.kind in OPINIONS for each in counting(self.log))


def as_event(user_id: str, sent: Sent) -> Event:
    assert sent.time is not None, sent
    return Event(user_id, sent.item_id, sent.kind, sent.rating, sent.time, sent.event_id)
