"""HistoryPage and its like: what the routes of users give."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict
from pydantic.config import JsonDict

from app.logged_event import LoggedEvent
from engine.events import Event

OUT_OF_REACH = {
    "bundle": "what was learned from the user's events stays in the bundles that were trained on them; train without",
    "archive": "the archive of events, until the archiver's next round removes them; files that were exported from it",
    "offline_data": "the files that training reads; `liverec load` leaves the user out, and so does training with"
    " --archive and REDIS_URL; other training does not",
    "store_files": "the append-only file until the server rewrites it (BGREWRITEAOF), and backups",
}
EXAMPLE: JsonDict = {"item_id": "50", "kind": "rating", "rating": 5.0, "timestamp": 1795400000.0, "event_id": "e-1"}


class HistoryEvent(BaseModel):
    """An event that counts."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    item_id: str
    kind: str
    rating: float | None
    """In the units of the data; null for an event without one."""
    timestamp: float
    """Unix seconds; what counts where two hosts' clocks differ."""
    event_id: str
    """Empty for an event of the offline files."""

    @classmethod
    def of(cls, event: Event) -> HistoryEvent:
        """Return an event as it is shown."""
        return cls(
            item_id=event.item_id,
            kind=event.kind,
            rating=event.value,
            timestamp=event.timestamp,
            event_id=event.event_id,
        )


class HistoryPage(BaseModel):
    """Some of a user's events, newest first."""

    model_config = ConfigDict(
        use_attribute_docstrings=True,
        json_schema_extra={
            "examples": [
                {
                    "user_id": "42",
                    "history_version": 184,
                    "events": [EXAMPLE],
                    "cursor": None,
                    "degraded": None,
                }
            ]
        },
    )

    user_id: str
    history_version: int
    """0 for a user of whom nothing is known."""
    events: list[HistoryEvent]
    cursor: str | None
    """Give this to get the next page; null after the last."""
    degraded: str | None = None
    """Always null: without the store there is no answer."""


class ExportedEvent(BaseModel):
    """An entry of the event log: what was sent, undoing included."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    log_id: str
    item_id: str
    kind: str
    rating: float | None
    timestamp: float
    """Unix seconds, as it was sent."""
    counted_timestamp: float
    """Unix seconds, as it counts."""
    event_id: str
    recommendation_id: str
    history_version: int
    """What the history had with it."""

    @classmethod
    def of(cls, logged: LoggedEvent) -> ExportedEvent:
        """Return an entry of the log as it is shown."""
        event = logged.event
        return cls(
            log_id=logged.log_id,
            item_id=event.item_id,
            kind=event.kind,
            rating=event.value,
            timestamp=event.timestamp,
            counted_timestamp=logged.timestamp,
            event_id=event.event_id,
            recommendation_id=event.recommendation_id,
            history_version=logged.version,
        )


class Exposure(BaseModel):
    """A place of an answer that chance filled."""

    log_id: str
    recommendation_id: str
    item_id: str
    rank: int
    propensity: float
    timestamp: float
    model_version: str


class UserExport(BaseModel):
    """Everything that the store holds of a user, but answers that it could compute again."""

    model_config = ConfigDict(
        use_attribute_docstrings=True,
        json_schema_extra={
            "examples": [
                {
                    "user_id": "42",
                    "history_version": 184,
                    "events": [EXAMPLE],
                    "seen_items": ["50"],
                    "log": [],
                    "exposures": [],
                }
            ]
        },
    )

    user_id: str
    history_version: int
    events: list[HistoryEvent]
    """Those that count, oldest first."""
    seen_items: list[str]
    """All items that are left out of answers, those of events that the history no longer holds included."""
    log: list[ExportedEvent]
    """All that was ever sent, as far as the log reaches back, oldest first."""
    exposures: list[Exposure]


class Forgetting(BaseModel):
    """What was removed of a user, now; repeating removes what has come since."""

    model_config = ConfigDict(
        use_attribute_docstrings=True,
        json_schema_extra={
            "examples": [
                {
                    "user_id": "42",
                    "events": 184,
                    "seen_items": 184,
                    "log_entries": 1,
                    "event_ids": 1,
                    "cached_answers": 2,
                    "exposures": 0,
                    "history_version": 184,
                    "out_of_reach": {"bundle": "train without"},
                }
            ]
        },
    )

    user_id: str
    events: int
    """Of the history."""
    seen_items: int
    log_entries: int
    event_ids: int
    """That were remembered to recognise repetitions."""
    cached_answers: int
    exposures: int
    """Places of answers that chance filled."""
    history_version: int
    """From here the version goes on, should the user come back. This number stays, under a keyed hash of the id."""
    out_of_reach: dict[str, str]
    """Where else there may be traces, and what to do about them."""
