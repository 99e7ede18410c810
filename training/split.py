"""Splitting clean events into train, valid and test without looking ahead."""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from engine.errors import ConfigError, DataError

ORDER = ("user_id", "timestamp", "row")
PARTS = ("train", "valid", "test")


@dataclass(frozen=True, slots=True)
class Split:
    """Three canonical event frames, each sorted by (user_id, timestamp, row), and how they were made."""

    train: pl.DataFrame
    valid: pl.DataFrame
    test: pl.DataFrame
    protocol: str


def leave_one_out(events: pl.DataFrame) -> Split:
    """Take each user's last event for test and the one before for valid.

    Users with fewer than three events stay in train as a whole: nothing could be learned about them otherwise.
    """
    ordered = events.sort(ORDER, maintain_order=True)
    enough = pl.len().over("user_id") >= 3
    left = _events_left()
    return Split(
        train=ordered.filter(~enough | (left > 1)),
        valid=ordered.filter(enough & (left == 1)),
        test=ordered.filter(enough & (left == 0)),
        protocol="leave_one_out",
    )


def given(parts: Mapping[str, pl.DataFrame]) -> Split:
    """Keep a split that the data set brings.

    Without a valid part, the last train event of each user with at least two becomes valid, so that no user leaves
    train. Without a test part, test is empty. Raises DataError without a train part or with an unknown one.
    """
    unknown = sorted(set(parts) - set(PARTS))
    if "train" not in parts or unknown:
        raise DataError(
            f"a given split has the parts train, valid and test, not {sorted(parts)}. Choose another protocol."
        )
    ordered = {name: frame.sort(ORDER, maintain_order=True) for name, frame in parts.items()}
    train, nothing = ordered["train"], ordered["train"].clear()
    if "valid" in ordered:
        return Split(train, ordered["valid"], ordered.get("test", nothing), "given")
    last = (_events_left() == 0) & (pl.len().over("user_id") >= 2)
    return Split(train.filter(~last), train.filter(last), ordered.get("test", nothing), "given")


def global_time(events: pl.DataFrame, valid_share: float = 0.1, test_share: float = 0.1) -> Split:
    """Cut all events at two moments, so that valid follows train and test follows valid, for all users at once.

    The shares are of the events, 0 to below 1, met as closely as events at the same second allow: those never part, the
    later side takes them. Users and items that train lacks stay in valid and test; the caller decides about them.
    Raises ConfigError on impossible shares, DataError if the events have no clock or none would be left in train.
    """
    if min(valid_share, test_share) < 0 or valid_share + test_share >= 1:
        raise ConfigError(
            f"valid_share {valid_share} and test_share {test_share} must be at least 0 and sum to below 1."
        )
    if events["timestamp"].null_count():
        raise DataError(
            "these events have no timestamps, so time cannot split them. Use leave_one_out or a given split."
        )
    times = events["timestamp"].sort()
    test_count = round(len(times) * test_share)
    valid_from = _moment(times, test_count + round(len(times) * valid_share))
    test_from = _moment(times, test_count)
    ordered, timestamp = events.sort(ORDER, maintain_order=True), pl.col("timestamp")
    train = ordered.filter(timestamp < valid_from)
    if train.is_empty():
        raise DataError(
            f"none of the {len(times)} events would be left for train. Use smaller shares or another protocol."
        )
    valid = ordered.filter((timestamp >= valid_from) & (timestamp < test_from))
    return Split(train, valid, ordered.filter(timestamp >= test_from), "global_time")


def _events_left() -> pl.Expr:
    """Count the events of the same user that follow, in a sorted frame."""
    return pl.int_range(pl.len(), 0, -1, dtype=pl.Int64).over("user_id") - 1


def _moment(times: pl.Series, count: int) -> float:
    """Give the time from which on the last `count` events happen; infinity for none."""
    return float(times[len(times) - count]) if count else float("inf")
