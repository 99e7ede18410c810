"""Splits: whatever the events, the parts are disjoint, complete and in the order of time."""

from itertools import chain, pairwise

import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from engine.errors import ConfigError, DataError
from training import split
from training.split import global_time, leave_one_out

PARTS = ("train", "valid", "test")
SCHEMA = {"user_id": pl.String, "item_id": pl.String, "timestamp": pl.Float64, "row": pl.UInt64}


def frame(*events, first_row=2) -> pl.DataFrame:
    """Make events of (user, timestamp); the item is named after the row."""
    rows = [(user, f"i{row}", time, row) for row, (user, time) in enumerate(events, first_row)]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def rows_of(parts) -> list[list[int]]:
    return [getattr(parts, name)["row"].to_list() for name in PARTS]


def require_partition(parts, events):
    joined = pl.concat([getattr(parts, name) for name in PARTS])
    assert joined.sort("row").equals(events.sort("row"))
    for name in PARTS:
        part = getattr(parts, name)
        assert part.equals(part.sort("user_id", "timestamp", "row"))


users, clocks = st.sampled_from("abcd"), st.integers(0, 6).map(float)
histories = st.lists(st.tuples(users, clocks), min_size=1, max_size=40)


@hypothesis_settings(max_examples=60, deadline=None)
@given(events=histories)
def test_leave_one_out_is_a_partition_in_each_users_order(events):
    whole = frame(*events)
    parts = leave_one_out(whole)
    require_partition(parts, whole)
    for user in set(whole["user_id"]):
        own = [getattr(parts, name).filter(user_id=user).select("timestamp", "row").rows() for name in PARTS]
        count = sum(map(len, own))
        assert [len(part) for part in own] == ([count - 2, 1, 1] if count >= 3 else [count, 0, 0])
        joined = list(chain.from_iterable(own))
        assert joined == sorted(joined)


@hypothesis_settings(max_examples=60, deadline=None)
@given(events=histories, valid_share=st.floats(0, 0.4), test_share=st.floats(0, 0.4))
def test_global_time_is_a_partition_in_the_order_of_all(events, valid_share, test_share):
    whole = frame(*events, ("z", -1.0))
    try:
        parts = global_time(whole, valid_share, test_share)
    except DataError:
        return
    require_partition(parts, whole)
    spans = [getattr(parts, name)["timestamp"] for name in PARTS if not getattr(parts, name).is_empty()]
    assert all(before.max() < after.min() for before, after in pairwise(spans))
    assert parts.test.is_empty() == (round(whole.height * test_share) == 0)


def test_leave_one_out_without_a_clock_takes_the_last_rows():
    events = frame(("a", None), ("b", None), ("a", None), ("a", None), ("b", None))
    parts = leave_one_out(events)
    assert rows_of(parts) == [[2, 3, 6], [4], [5]]
    assert parts.protocol == "leave_one_out"


def test_global_time_meets_the_shares():
    parts = global_time(frame(*((user, float(t)) for t, user in enumerate("ab" * 50))))
    assert [len(rows) for rows in rows_of(parts)] == [80, 10, 10]
    assert parts.protocol == "global_time"


def test_global_time_never_parts_a_second():
    parts = global_time(frame(*(("a", t) for t in (1.0, 2.0, 3.0, 3.0, 3.0))), valid_share=0.2, test_share=0.2)
    assert rows_of(parts) == [[2, 3], [], [4, 5, 6]]


def test_global_time_keeps_users_whom_train_lacks():
    parts = global_time(frame(*(("a", float(t)) for t in range(9)), ("new", 99.0)))
    assert parts.test["user_id"].to_list() == ["new"]


@pytest.mark.parametrize("shares", [(-0.1, 0.1), (0.5, 0.5), (0.0, 1.0)])
def test_impossible_shares_are_refused(shares):
    with pytest.raises(ConfigError, match="sum to below 1"):
        global_time(frame(("a", 1.0)), *shares)


def test_events_that_time_cannot_split_are_refused():
    with pytest.raises(DataError, match="no timestamps"):
        global_time(frame(("a", None), ("a", 1.0)))
    with pytest.raises(DataError, match="none of the 10 events"):
        global_time(frame(*[("a", 1.0)] * 10))
    with pytest.raises(DataError, match="none of the 0 events"):
        global_time(frame())


def test_a_given_split_stays_as_it_is():
    parts = {name: frame(("b", 1.0), ("a", 2.0), first_row=row) for row, name in enumerate(PARTS)}
    kept = split.given(parts)
    assert rows_of(kept) == [[1, 0], [2, 1], [3, 2]]
    assert kept.protocol == "given"


def test_a_given_split_without_valid_takes_each_users_last_train_event():
    train = frame(("a", 2.0), ("a", 1.0), ("b", 1.0), ("c", 1.0), ("c", 1.0))
    kept = split.given({"train": train, "test": frame(("a", 9.0), first_row=50)})
    assert rows_of(kept) == [[3, 4, 5], [2, 6], [50]]


def test_a_given_split_without_test_has_an_empty_one():
    kept = split.given({"train": frame(("a", 2.0)), "valid": frame(("a", 1.0))})
    assert kept.test.is_empty()
    assert kept.test.schema == kept.train.schema


@pytest.mark.parametrize("names", [("all",), ("test",), ("train", "extra")])
def test_other_parts_are_refused(names):
    with pytest.raises(DataError, match="train, valid and test"):
        split.given(dict.fromkeys(names, frame(("a", 1.0))))
