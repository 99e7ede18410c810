"""The window is the only place where histories are cut, padded and scaled, and it does so without a trace."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import DataError
from engine.events import Event, History
from engine.item_vectors import ItemVectors
from engine.items import ItemTable
from engine.window import HistoryBatch, HistoryColumns, HistoryWindow, offsets_of

ROOT = Path(__file__).parents[2]
WINDOW = HistoryWindow(max_length=5)


def history(*items: str, value: float | None = 4.0) -> History:
    return History(tuple(Event("u", item, "rating", value, 86_400.0 * step) for step, item in enumerate(items)))


def test_rows_are_right_padded_newest_last(items: ItemTable) -> None:
    columns = WINDOW.columns([history("1", "2"), history(*"12345670")], items)
    rows = WINDOW.newest(columns, items.vocabulary.padding_index)
    assert rows.indices.tolist() == [[1, 2, 8, 8, 8], [4, 5, 6, 7, 0]]
    assert rows.lengths.tolist() == [2, 5]
    assert rows.values.tolist() == [[0.75, 0.75, 0, 0, 0], [0.75] * 5]
    assert rows.ages.tolist() == [[1, 0, 0, 0, 0], [4, 3, 2, 1, 0]]


def batch_of(histories: list[History], items: ItemTable, vectors: ItemVectors) -> HistoryBatch:
    return vectors.batch(WINDOW.newest(WINDOW.columns(histories, items), items.vocabulary.padding_index))


def test_padding_is_zero_vectors(items: ItemTable, vectors: ItemVectors) -> None:
    batch = batch_of([history("1"), history("1", "2")], items, vectors)
    assert batch.vectors.shape == (2, 2, 4)
    assert not batch.vectors[0, 1].any()
    np.testing.assert_array_equal(batch.vectors[0, 0], vectors.inputs[1])


def test_unknown_items_are_left_out_and_empty_histories_stay(items: ItemTable) -> None:
    columns = WINDOW.columns([History(), history("1", "nobody knows", "2"), history("nobody knows")], items)
    assert columns.offsets.tolist() == [0, 0, 2, 2]
    rows = WINDOW.newest(columns, 8)
    assert rows.lengths.tolist() == [0, 2, 0]
    assert rows.indices.tolist() == [[8, 8], [1, 2], [8, 8]]


def test_a_batch_of_empty_histories_has_a_shape(items: ItemTable, vectors: ItemVectors) -> None:
    batch = batch_of([History(), History()], items, vectors)
    assert batch.vectors.shape == (2, 1, 4)
    assert batch.lengths.tolist() == [0, 0]


@pytest.mark.parametrize("count", [1, 3, 5, 9])
def test_a_cut_is_what_a_smaller_window_gives(items: ItemTable, count: int) -> None:
    columns = WINDOW.columns([history("1", "2"), History(), history(*"12345670")], items)
    cut = WINDOW.newest(columns, 8).cut(count, 8)
    wanted = HistoryWindow(max_length=min(count, 5)).newest(columns, 8)
    for name in ("indices", "values", "ages", "lengths"):
        np.testing.assert_array_equal(getattr(cut, name), getattr(wanted, name))
        assert getattr(cut, name).dtype == getattr(wanted, name).dtype
    np.testing.assert_array_equal(WINDOW.newest(columns, 8).newest(count, 8), wanted.indices)


@given(rating=st.floats(-1e6, 1e6))
def test_values_lie_in_0_to_1(rating: float) -> None:
    (value,) = WINDOW.values_of(np.array(["rating"]), np.array([rating]))
    assert value == pytest.approx(min(max((rating - 1) / 4, 0), 1))


def test_kinds_without_rating_have_weights() -> None:
    window = HistoryWindow(event_weights={"view": 0.2, "purchase": 1.0})
    values = window.values_of(np.array(["view", "purchase", "rating"]), np.array([np.nan, np.nan, 3.0]))
    assert values.tolist() == pytest.approx([0.2, 1.0, 0.5])


def test_a_kind_without_weight_is_named() -> None:
    with pytest.raises(DataError, match=r"'click' has no weight.*view.*--set window\.event_weights\.click"):
        WINDOW.values_of(np.array(["click"]), np.array([np.nan]))


def test_a_history_that_was_looked_up_gives_the_same_columns(items: ItemTable) -> None:
    kinds = (("0", "rating", 2.0), ("stranger", "view", None), ("3", "rating", None), ("4", "view", None))
    kinds += (("5", "nothing", None), ("6", "rating", 9.0))
    histories = [History(tuple(Event("u", *kind, float(place)) for place, kind in enumerate(kinds))), History()]
    found = items.vocabulary.indices_of(event.item_id for event in histories[0].events)
    window = HistoryWindow()
    columns, again = window.columns(histories, items), window.columns(histories, items, found)
    assert columns.item_index.tolist() == [0, 4, 6]
    assert columns.value.tolist() == [0.25, 1.0, 1.0]
    assert columns.timestamp.tolist() == [0.0, 3.0, 5.0]
    assert columns.offsets.tolist() == [0, 3, 3]
    for name in ("item_index", "value", "timestamp", "offsets"):
        np.testing.assert_array_equal(getattr(columns, name), getattr(again, name))


def test_a_kind_without_weight_in_a_live_history_is_seen_and_no_more(items: ItemTable) -> None:
    click = Event("u", "3", "click", None, 9e9)
    known = history("1", "2").add(click)
    assert "3" in known.seen()
    assert WINDOW.columns([known], items).item_index.tolist() == [1, 2]


def test_without_a_clock_all_ages_are_zero(items: ItemTable) -> None:
    window = HistoryWindow(has_clock=False)
    columns = window.columns([history("1", "2", "3")], items)
    assert not window.newest(columns, 8).ages.any()
    assert window.newest(columns, 8).indices.tolist() == [[1, 2, 3]]


@given(
    lengths=st.lists(st.integers(0, 40), min_size=1, max_size=8),
    longest=st.integers(2, 9),
    seed=st.none() | st.integers(0, 9),
)
def test_training_rows_hold_each_succession_exactly_once(lengths: list[int], longest: int, seed: int | None) -> None:
    count = sum(lengths)
    offsets = offsets_of(np.array(lengths))
    columns = HistoryColumns(np.arange(count), np.ones(count, np.float32), np.arange(count, dtype=np.float64), offsets)
    random = None if seed is None else np.random.default_rng(seed)
    rows = HistoryWindow(max_length=longest).every(columns, count, random)
    assert rows.lengths.max(initial=0) <= longest
    pairs = [
        (int(a), int(b))
        for row, length in zip(rows.indices, rows.lengths, strict=True)
        for a, b in itertools.pairwise(row[:length])
    ]
    wanted = [(i, i + 1) for start, stop in itertools.pairwise(offsets) for i in range(start, stop - 1)]
    assert sorted(pairs) == wanted


def test_only_the_window_pads_truncates_or_scales() -> None:
    # What the tools of padding look like; a second copy of this logic is how offline and online drift apart.
    signs = re.compile(
        r"pad_sequence|rating_scale\b.*[-/]|max_length\s*(?::(?!,)|\])|\[-\s*\w*max_length|like_threshold"
    )
    guilty = [
        f"{path.relative_to(ROOT)}:{number}"
        for folder in ("engine", "models", "training", "app", "liverec")
        for path in (ROOT / folder).rglob("*.py")
        if path.name not in ("window.py", "config.py", "ratings_config.py", "manifest.py")
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if signs.search(line)
    ]
    assert guilty == []


AGAINST = WINDOW.with_weights({"click": 0.7, "skip": -0.3, "dislike": -1.0})


def kinds(*pairs: tuple[str, str]) -> History:
    return History(tuple(Event("u", item, kind, None, float(step)) for step, (item, kind) in enumerate(pairs)))


def test_further_weights_win_and_leave_the_others() -> None:
    window = HistoryWindow(event_weights={"view": 1.0, "click": 0.1}).with_weights({"click": 0.2, "skip": -1.0})
    assert window.event_weights == {"view": 1.0, "click": 0.2, "skip": -1.0}


@pytest.mark.parametrize("weight", [-1.1, 1.1, float("nan")])
def test_weights_lie_between_minus_1_and_1(weight: float) -> None:
    with pytest.raises(ValueError, match=r"event_weights\.view"):
        HistoryWindow(event_weights={"view": weight})


def test_networks_never_see_what_is_disliked(items: ItemTable) -> None:
    history = kinds(("1", "click"), ("2", "skip"), ("3", "dislike"), ("4", "view"))
    columns = AGAINST.columns([history], items)
    assert columns.item_index.tolist() == [1, 4]
    assert columns.value.tolist() == pytest.approx([0.7, 1.0])


def test_dislikes_come_newest_first_with_their_strength(items: ItemTable) -> None:
    history = kinds(("1", "skip"), ("2", "click"), ("nobody knows", "dislike"), ("3", "dislike"), ("1", "skip"))
    item_index, strength = AGAINST.dislikes(history, items)
    assert item_index.tolist() == [1, 3, 1]
    assert strength.tolist() == pytest.approx([0.3, 1.0, 0.3])
    assert (item_index.dtype, strength.dtype) == (np.int64, np.float32)


def test_the_newest_50_dislikes_count(items: ItemTable) -> None:
    history = kinds(("0", "dislike"), *[("5", "skip")] * 50, *[("nobody knows", "skip")] * 50)
    item_index, _ = AGAINST.dislikes(history, items)
    assert item_index.tolist() == [5] * 50
    empty, strength = AGAINST.dislikes(History(), items)
    assert (len(empty), len(strength)) == (0, 0)
