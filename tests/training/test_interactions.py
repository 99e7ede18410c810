"""Events as arrays: in order, and cut before what is held out."""

from __future__ import annotations

import numpy as np
import polars as pl
from worlds import markov_chain

from engine.vocabulary import Vocabulary
from engine.window import HistoryWindow
from training.interactions import Interactions, histories_of
from training.preparation import joined
from training.retriever_training import shuffled_ties

EVENTS = markov_chain(users=9, items=12, events=8)
VOCABULARY = Vocabulary(EVENTS["item_id"].unique().sort())
INTERACTIONS = Interactions.of(EVENTS.sample(fraction=1.0, shuffle=True, seed=1), VOCABULARY, HistoryWindow())


def runs(columns) -> list[list[str]]:
    return [
        [VOCABULARY.id_of(index) for index in columns.item_index[start:stop]]
        for start, stop in zip(columns.offsets, columns.offsets[1:], strict=False)
    ]


def test_arrays_and_histories_say_the_same() -> None:
    histories = histories_of(EVENTS, INTERACTIONS.user_ids)
    assert runs(INTERACTIONS.columns) == [[event.item_id for event in history.events] for history in histories]
    flat = [event for history in histories for event in history.events]
    np.testing.assert_allclose(INTERACTIONS.columns.value, [(event.value - 1) / 4 for event in flat])
    np.testing.assert_allclose(INTERACTIONS.ratings, [event.value for event in flat])


def test_a_user_without_events_has_an_empty_history() -> None:
    assert histories_of(EVENTS, ["nobody"])[0].events == ()


def test_what_is_held_out_follows_each_prefix() -> None:
    whole, earlier = runs(INTERACTIONS.columns), runs(INTERACTIONS.without_newest(3))
    prefixes, targets = INTERACTIONS.prefixes(3, most=1_000, seed=0)
    expected = []
    for all_items, kept in zip(whole, earlier, strict=True):
        # A quarter of eight events is less than three: two are held out.
        assert kept == all_items[:6]
        expected += [(all_items[:6], all_items[6]), (all_items[:7], all_items[7])]
    assert list(zip(runs(prefixes), map(VOCABULARY.id_of, targets), strict=True)) == expected


def test_too_many_held_out_events_are_drawn_from() -> None:
    _, targets = INTERACTIONS.prefixes(3, most=5, seed=0)
    _, again = INTERACTIONS.prefixes(3, most=5, seed=0)
    assert len(targets) == 5
    np.testing.assert_array_equal(targets, again)


def test_only_ties_are_shuffled() -> None:
    tied = EVENTS.with_columns(pl.when(pl.col("timestamp") < 3_000).then(0.0).otherwise("timestamp").alias("timestamp"))
    columns = Interactions.of(tied, VOCABULARY, HistoryWindow()).columns
    shuffled = shuffled_ties(columns, np.random.default_rng(0))
    pairs = list(zip(runs(columns), runs(shuffled), strict=True))
    assert all(before[3:] == after[3:] and sorted(before[:3]) == sorted(after[:3]) for before, after in pairs)
    assert any(before[:3] != after[:3] for before, after in pairs)


def test_parts_joined_keep_their_order_at_equal_times() -> None:
    first = EVENTS.filter(pl.col("user_id") == "user 0").with_columns(timestamp=pl.lit(5.0))
    both = joined([first[4:], first[:4].with_columns(row=pl.int_range(1, 5, dtype=pl.UInt64))])
    ordered = histories_of(both, ["user 0"])[0]
    assert [event.item_id for event in ordered.events] == [*first["item_id"][4:], *first["item_id"][:4]]


def test_kinds_of_negative_weight_are_not_learned_from() -> None:
    first = pl.col("row") == pl.col("row").min().over("user_id")
    mixed = EVENTS.with_columns(kind=pl.when(first).then(pl.lit("skip")).otherwise("kind"))
    window = HistoryWindow(event_weights={"skip": -0.5, "view": 1.0})
    whole, without = (Interactions.of(each, VOCABULARY, window) for each in (EVENTS, mixed))
    assert len(whole.columns.value) - len(without.columns.value) == len(whole.user_ids)
    assert without.columns.value.min() >= 0
