"""Cleaning: each rule by hand, and for any events: it adds up, is sorted, and a second time changes nothing."""

from io import StringIO

import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import ValidationError
from rich.console import Console
from worlds import SCHEMA

from engine.errors import DataError
from training.cleaning import CleaningReport, CleaningRules, clean

INF, NAN = float("inf"), float("nan")


def frame(*events) -> pl.LazyFrame:
    """Make events of (user, item, kind, value, timestamp); the first is row 2."""
    return pl.LazyFrame([(*event, row) for row, event in enumerate(events, 2)], schema=SCHEMA, orient="row")


def cleaned(*events, **rules):
    kept, report = clean(frame(*events), CleaningRules(**rules))
    return kept, report, [(f.rule, f.action, f.count, f.rows) for f in report.findings]


GOOD = ("u", "i", "rating", 3.0, 5.0)


@pytest.mark.parametrize(
    ("bad", "rules", "rule"),
    [
        ((None, "i", "rating", 3.0, 5.0), {}, "user_id is missing"),
        (("u", "", "rating", 3.0, 5.0), {}, "item_id is missing"),
        (("é" * 129, "i", "rating", 3.0, 5.0), {}, "user_id is longer than 256 bytes"),
        (("u", "abc", "rating", 3.0, 5.0), {"max_id_bytes": 2}, "item_id is longer than 2 bytes"),
        (("u", "j", "rating", NAN, 5.0), {}, "value is not finite"),
        (("u", "j", "view", -INF, 5.0), {}, "value is not finite"),
        (("u", "j", "rating", 5.5, 5.0), {"rating_scale": (1, 5)}, "rating is outside 1 to 5"),
        (("u", "j", "rating", 3.0, -1.0), {}, "timestamp is negative"),
        (("u", "j", "rating", 3.0, INF), {}, "timestamp is not finite"),
        (("u", "j", "rating", 3.0, 1e11), {}, "timestamp is in the future"),
        (("u", "j", "rating", 3.0, 9.0), {"latest_timestamp": 8}, "timestamp is in the future"),
        (("u", "j", "rating", 3.0, None), {}, "timestamp is missing"),
        (("u", "j", "rating", None, 5.0), {}, "rating is missing"),
        (GOOD, {}, "the same event again"),
        (("u", "i", "rating", 4.0, 4.0), {}, "another rating of the same item (last counts)"),
        (("u", "i", "rating", 4.0, 6.0), {"conflicting": "first"}, "another rating of the same item (first counts)"),
    ],
)
def test_a_bad_event_is_dropped_and_reported(bad, rules, rule):
    kept, _, findings = cleaned(GOOD, bad, **rules)
    assert kept.rows() == [(*GOOD, 2)]
    assert findings == [(rule, "dropped", 1, (3,))]


def test_the_last_rating_counts_by_time_and_then_by_row():
    events = [("u", "i", "rating", float(n), t) for n, t in ((1, 7.0), (2, 9.0), (3, 9.0), (4, 8.0))]
    assert cleaned(*events)[0]["value"].to_list() == [3.0]
    assert cleaned(*events, conflicting="first")[0]["value"].to_list() == [1.0]
    assert cleaned(*events, conflicting="mean")[0].select("value", "timestamp", "row").rows() == [(2.5, 9.0, 4)]


def test_repeated_views_are_legitimate():
    events = [("u", "i", "view", None, 1.0), ("u", "i", "view", None, 2.0), GOOD, ("u", "i", "view", 7.0, 2.0)]
    kept, _, findings = cleaned(*events, rating_scale=(1, 5))
    assert kept.height == 4
    assert findings == []


MISSING = [("u", "i", "rating", 2.0, 1.0), ("u", "j", "rating", 3.0, 2.0), ("u", "k", "rating", None, 3.0),
           ("v", "j", "rating", None, 1.0)]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "values", "findings"),
    [
        ("drop", [2.0, 3.0], [("dropped", 2, (4, 5))]),
        ("user_mean", [2.0, 3.0, 2.5], [("filled with user_mean", 1, (4,)), ("dropped", 1, (5,))]),
        ("item_mean", [2.0, 3.0, 3.0], [("filled with item_mean", 1, (5,)), ("dropped", 1, (4,))]),
        ("implicit", [2.0, 3.0, None, None], [("kept as view", 2, (4, 5))]),
    ],
)
def test_missing_ratings(rule, values, findings):
    kept, _, found = cleaned(*MISSING, missing_rating=rule)
    assert kept["value"].to_list() == values
    assert found == [("rating is missing", *finding) for finding in findings]
    assert kept.filter(pl.col("value").is_null())["kind"].to_list() == ["view"] * values.count(None)


@pytest.mark.parametrize("rule", ["drop", "user_mean", "item_mean", "implicit"])
def test_a_set_without_any_rating_is_implicit(rule):
    kept, report, _ = cleaned(("u", "i", "rating", None, 1.0), ("u", "j", "view", 4.0, 2.0), missing_rating=rule)
    assert kept["kind"].to_list() == ["view", "view"]
    assert report.rating_scale is None


def test_without_a_clock_the_order_of_the_file_counts():
    kept, _, findings = cleaned(("u", "b", "view", None, None), ("u", "a", "view", None, None))
    assert kept["item_id"].to_list() == ["b", "a"]
    assert findings == []


def test_too_few_events_are_dropped_to_a_fixed_point():
    chain = [("a", "1"), ("a", "2"), ("b", "2"), ("b", "3"), ("c", "3"), ("d", "8"), ("d", "9"), ("e", "8"), ("e", "9")]
    events = [(user, item, "rating", 3.0, 1.0) for user, item in chain]
    kept, _, findings = cleaned(*events, min_user_events=2, min_item_events=2)
    assert kept["user_id"].to_list() == ["d", "d", "e", "e"]
    assert findings == [("fewer than 2 events of the user or 2 of the item", "dropped", 5, (2, 3, 4, 5, 6))]


def test_only_the_first_rows_are_reported():
    *_, findings = cleaned(GOOD, *[(None, "i", "rating", 3.0, 5.0)] * 30)
    assert findings == [("user_id is missing", "dropped", 30, tuple(range(3, 23)))]


def test_nothing_left_is_reported():
    kept, report, _ = cleaned((None, "i", "rating", 3.0, 5.0))
    assert kept.is_empty()
    assert (report.rows_out, report.users, report.items, report.rating_scale) == (0, 0, 0, None)


def test_a_report_survives_json_and_shows_itself():
    _, report, _ = cleaned(GOOD, (None, "i", "rating", 3.0, 5.0))
    assert CleaningReport.from_json(report.to_json()) == report
    console = Console(record=True, width=120, file=StringIO())
    console.print(report.table())
    shown = console.export_text()
    assert "2 events read, 1 kept" in shown
    assert "user_id is missing" in shown
    with pytest.raises(DataError, match="no cleaning report"):
        CleaningReport.from_json('{"rows_in": 1}')


@pytest.mark.parametrize("rules", [{"conflictng": "last"}, {"rating_scale": (5, 1)}, {"max_id_bytes": 0}])
def test_wrong_rules_are_refused(rules):
    with pytest.raises(ValidationError):
        CleaningRules(**rules)


def test_every_rule_is_described():
    assert all(field.description for field in CleaningRules.model_fields.values())


def test_other_frames_are_refused():
    with pytest.raises(DataError, match="no column row"):
        clean(frame(GOOD).drop("row"), CleaningRules())


names = st.sampled_from([None, "", "a", "b", "c", "ü" * 3])
values = st.sampled_from([None, NAN, INF, -1.0, 0.5, 1.0, 3.0, 5.0, 6.0])
times = st.sampled_from([None, NAN, -INF, -1.0, 0.0, 1.0, 2.0, 3.0, 99.0])
histories = st.lists(st.tuples(names, names, st.sampled_from(["rating", "view"]), values, times), max_size=30)
some_rules = st.fixed_dictionaries(
    {
        "rating_scale": st.sampled_from([None, (1.0, 5.0)]),
        "missing_rating": st.sampled_from(["drop", "user_mean", "item_mean", "implicit"]),
        "conflicting": st.sampled_from(["last", "first", "mean"]),
        "max_id_bytes": st.sampled_from([3, 256]),
        "min_user_events": st.integers(1, 3),
        "min_item_events": st.integers(1, 3),
        "latest_timestamp": st.sampled_from([None, 50.0]),
    }
)


@hypothesis_settings(max_examples=80, deadline=None)
@given(events=histories, options=some_rules)
def test_cleaning_adds_up_is_sorted_and_idempotent(events, options):
    rules = CleaningRules(**options)
    kept, report = clean(frame(*events), rules)
    dropped = sum(finding.count for finding in report.findings if finding.action == "dropped")
    assert report.rows_in == len(events)
    assert report.rows_in - dropped == report.rows_out == kept.height
    assert kept.equals(kept.sort("user_id", "timestamp", "row"))
    again, second = clean(kept.lazy(), rules)
    assert again.equals(kept)
    assert second.findings == ()


def test_rows_that_say_nothing_of_time_can_be_put_in_a_random_order():
    events = [(user, f"{item:02}", "view", None, None) for user in "abcdefgh" for item in range(25)]
    by_rows, _, _ = cleaned(*events)
    shuffled, _, findings = cleaned(*events, order="random")
    again, _, _ = cleaned(*events, order="random")
    assert shuffled.equals(again)
    assert not findings
    assert sorted(shuffled["row"]) == sorted(by_rows["row"])
    assert sorted(shuffled.drop("row").rows()) == sorted(by_rows.drop("row").rows())

    def newest(frame):
        return set(frame.group_by("user_id").agg(pl.col("item_id").last())["item_id"])

    assert newest(by_rows) == {"24"}
    assert len(newest(shuffled)) > 3


def test_events_with_a_time_have_no_random_order():
    with pytest.raises(DataError, match=r"cleaning\.order"):
        cleaned(GOOD, order="random")
