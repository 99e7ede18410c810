"""A history is the same whatever order its events arrive in."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.events import Event, History


def rated(item: str, time: float, value: float = 3.0, kind: str = "rating") -> Event:
    return Event("u", item, kind, value if kind == "rating" else None, time, f"{item}@{time}")


EVENTS = st.lists(
    st.tuples(st.sampled_from("abcd"), st.integers(0, 1_000)), max_size=12, unique_by=lambda each: each[1]
)


@given(pairs=EVENTS, order=st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(pairs: list[tuple[str, int]], order) -> None:
    events = [rated(item, time) for item, time in pairs]
    shuffled = events.copy()
    order.shuffle(shuffled)
    grown = History()
    for event in shuffled:
        grown = grown.add(event)
    assert History.of(events) == History.of(shuffled) == grown


def test_the_newest_rating_of_an_item_is_the_one_that_counts() -> None:
    history = History.of([rated("a", 1, 5.0), rated("b", 2), rated("a", 3, 1.0)])
    assert [(event.item_id, event.value) for event in history.events] == [("b", 3.0), ("a", 1.0)]


def test_views_are_kept_each() -> None:
    history = History.of([rated("a", 1, kind="view"), rated("a", 2, kind="view"), rated("a", 3)])
    assert len(history.events) == 3


def test_at_equal_times_arrival_decides() -> None:
    assert [event.item_id for event in History.of([rated("b", 1), rated("a", 1)]).events] == ["b", "a"]


def test_seen_counts_every_item() -> None:
    assert History.of([rated("a", 1), rated("b", 2, kind="view")]).seen() == {"a", "b"}


def undone(item: str, time: float) -> Event:
    return Event("u", item, "undo", None, time, f"undo {item}@{time}")


def test_the_newest_opinion_counts_whatever_kind_it_is() -> None:
    history = History.of([rated("a", 1, 5.0), rated("a", 3, kind="dislike"), rated("a", 2, kind="like")])
    assert [event.kind for event in history.events] == ["dislike"]


def test_what_was_undone_is_gone_even_if_it_comes_later() -> None:
    events = [undone("a", 5), rated("a", 4), rated("a", 3, kind="like"), rated("a", 2, kind="view"), rated("b", 1)]
    assert [(event.item_id, event.kind) for event in History.of(events).events] == [("b", "rating"), ("a", "view")]


def test_a_newer_opinion_survives_an_older_undo() -> None:
    assert [event.timestamp for event in History.of([rated("a", 1), rated("a", 9), undone("a", 5)]).events] == [9]


def test_at_equal_times_the_later_of_opinion_and_undo_wins() -> None:
    assert History.of([rated("a", 1), undone("a", 1)]).events == ()
    assert len(History.of([undone("a", 1), rated("a", 1)]).events) == 1


def test_an_undo_is_no_event_of_the_history() -> None:
    assert History.of([undone("a", 1)]).seen() == frozenset()
    assert History.of([rated("a", 1)]).add(undone("a", 2)) == History()
