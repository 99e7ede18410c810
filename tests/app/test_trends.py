"""What is trending, on a real server: exactly the decayed counts, whenever and in whatever order events come."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis import Redis

from app import trends as trends_module
from app.metrics import Metrics
from app.settings import Settings
from app.store_connection import StoreConnection
from app.trends import HALF_LIVES, LANDMARKS, LEAST_SHOWN, Trend, Trends
from engine.errors import StoreError
from engine.events import Event
from engine.window import HistoryWindow

NOW = 1_800_000_000.0
HOUR, DAY = 3_600.0, 86_400.0
WINDOW = HistoryWindow(rating_scale=(1, 5), event_weights={"view": 0.5, "like": 1.0})


class Board:
    """Trends with a clock of its own, and a new connection for each thing that is done."""

    def __init__(self, url: str, knows=lambda _: True, window: HistoryWindow = WINDOW) -> None:
        self.url, self.knows, self.window, self.now = url, knows, window, NOW
        self.metrics = Metrics()

    def run(self, work: Callable[[Trends], Awaitable[object]]) -> object:
        async def connected() -> object:
            connection = await StoreConnection.connect(self.url, Settings())
            try:
                trends = Trends(connection, self.window, self.knows, self.metrics)
                trends.clock = lambda: self.now
                return await work(trends)
            finally:
                await connection.close()

        return asyncio.run(connected())

    def count(self, *events: Event) -> None:
        self.run(lambda trends: trends.count(events))

    def best(self, window: str = "day", n: int = 500, is_wanted=lambda _: True) -> list[Trend]:
        return self.run(lambda trends: trends.best(window, n, lambda ids: [is_wanted(each) for each in ids]))

    def scores(self, window: str = "day") -> dict[str, float]:
        return {each.item_id: each.score for each in self.best(window)}


def all_of_them(item_ids: Sequence[str]) -> list[bool]:
    return [True] * len(item_ids)


def event(item_id: str = "a", ago: float = 0.0, kind: str = "like", value: float | None = None) -> Event:
    return Event("u", item_id, kind, value, NOW - ago)


@pytest.fixture
def board(url: str) -> Board:
    return Board(url)


def test_an_event_counts_half_after_each_half_life(board: Board) -> None:
    board.count(event("now"), event("before", ago=HOUR), event("older", ago=2 * HOUR))
    assert board.scores("hour") == pytest.approx({"now": 1, "before": 0.5, "older": 0.25})
    assert board.scores("day") == pytest.approx({"now": 1, "before": 0.5 ** (1 / 24), "older": 0.5 ** (1 / 12)})
    board.now += 3 * HOUR
    assert board.scores("hour") == pytest.approx({"now": 1 / 8, "before": 1 / 16, "older": 1 / 32})
    assert [each.item_id for each in board.best("week")] == ["now", "before", "older"]


def test_an_event_weighs_what_a_network_reads_as_its_value(board: Board) -> None:
    board.count(
        event("worst", kind="rating", value=1.0),
        event("middling", kind="rating", value=3.0),
        event("best", kind="rating", value=5.0),
        event("viewed", kind="view"),
        event("unrated", kind="rating"),
        event("undone", kind="undo"),
        event("strange", kind="never heard of"),
    )
    assert board.scores() == pytest.approx({"middling": 0.5, "best": 1.0, "viewed": 0.5})
    assert 'liverec_trend_events_total{outcome="counted"} 3.0' in board.metrics.render().decode()


def test_events_add_up_over_users_calls_and_kinds(board: Board) -> None:
    board.count(event("a"), event("a"), event("b"))
    board.count(event("a", kind="view"))
    assert board.scores() == pytest.approx({"a": 2.5, "b": 1})


def test_the_far_past_hardly_counts_and_the_future_counts_as_now(board: Board) -> None:
    board.count(event("ahead", ago=-100 * DAY), event("old", ago=3 * DAY), event("ancient", ago=NOW))
    assert board.scores() == pytest.approx({"ahead": 1, "old": 1 / 8})


def test_items_that_nobody_knows_are_not_counted(url: str) -> None:
    board = Board(url, knows={"known"}.__contains__)
    board.count(event("known"), event("unknown"))
    assert board.scores().keys() == {"known"}


def test_a_landmark_moves_by_whole_half_lives_and_only_when_it_must(board: Board, url: str) -> None:
    board.count(event("a"))
    first = {window: landmark_of(url, window) for window in HALF_LIVES}
    board.now = NOW + 64.5 * HOUR
    board.count(event("a"))
    assert {window: landmark_of(url, window) for window in HALF_LIVES} == first
    board.now = NOW + 65.5 * HOUR
    board.count(event("a"))
    assert {window: landmark_of(url, window) for window in HALF_LIVES} == first | {"hour": NOW + 65 * HOUR}


def test_what_is_left_when_the_landmark_moves_stands_in_the_same_ratio(board: Board, url: str) -> None:
    board.count(event("a"))
    for step in range(1, 9):
        # Each score is near the last float before the landmark moves.
        board.now = NOW + step * 20 * HOUR
        board.count(*[Event("u", item, "view", None, board.now - ago) for item, ago in (("b", 0), ("c", 1_234))])
    assert landmark_of(url, "hour") > NOW + 60 * HOUR
    expected = sum(0.5 * 0.5 ** (20 * step) for step in range(8))
    assert board.scores("hour")["b"] == pytest.approx(expected, rel=1e-12)
    assert board.scores("hour")["c"] == pytest.approx(expected * 0.5 ** (1_234 / HOUR), rel=1e-12)
    assert "a" not in board.scores("hour")


def test_what_has_decayed_to_nothing_is_dropped(board: Board, url: str) -> None:
    board.count(event("a"))
    board.now += 60 * HOUR
    assert board.scores("hour") == {}
    board.now += 100_000 * HOUR
    board.count(Event("u", "b", "like", None, board.now))
    assert board.scores("hour") == {"b": 1}
    with Redis.from_url(url) as redis:
        assert redis.zcard("{trend}:hour") == 1


def test_a_clock_that_was_far_ahead_does_no_lasting_harm(board: Board) -> None:
    board.now += 10_000 * DAY
    board.count(Event("u", "future", "like", None, board.now))
    board.now = NOW
    assert board.scores("hour").keys() <= {"future"}
    board.count(event("a"))
    assert board.scores("hour") == {"a": 1}


def test_the_size_is_bounded_and_the_least_give_way(board: Board, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setattr(trends_module, "MOST_ITEMS", 50)
    board.count(*[event(f"item {number}", ago=number * 60) for number in range(80)])
    with Redis.from_url(url) as redis:
        assert [redis.zcard(f"{{trend}}:{window}") for window in HALF_LIVES] == [50, 50, 50]
    assert board.scores().keys() == {f"item {number}" for number in range(50)}


def test_reading_goes_on_until_enough_are_wanted_and_no_further(
    board: Board, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    def reads() -> int:
        with Redis.from_url(url) as redis:
            return redis.info("commandstats")["cmdstat_zrevrange"]["calls"]

    monkeypatch.setattr(trends_module, "TOP", 4)
    monkeypatch.setattr(trends_module, "FURTHER", 7)
    board.count(*[event(f"{number}", ago=number * 60) for number in range(30)])
    every_fifth = [each.item_id for each in board.best("day", 500, lambda item_id: int(item_id) % 5 == 4)]
    assert every_fifth == ["4", "9", "14", "19", "24", "29"]
    before = reads()
    assert [each.item_id for each in board.best("day", 2, lambda item_id: int(item_id) % 5 == 4)] == ["4", "9"]
    assert reads() == before + 2
    assert [each.item_id for each in board.best("day", 5)] == ["0", "1", "2", "3", "4"]


def test_single_items_can_be_looked_up(board: Board) -> None:
    board.count(event("a"), event("b"), event("b"), event("old", ago=20 * DAY), event("c", ago=DAY))
    found = board.run(lambda trends: trends.of("day", ["c", "a", "unknown", "old", "b"]))
    assert found == [("b", pytest.approx(2)), ("a", pytest.approx(1)), ("c", pytest.approx(0.5))]
    assert board.run(lambda trends: trends.of("hour", ["c"])) == []
    assert board.run(lambda trends: trends.of("day", [])) == []


def test_a_worker_goes_on_with_what_it_has_read_for_a_second(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    assert trends_module.TOP_SECONDS <= 1

    async def work(trends: Trends) -> list[int]:
        sizes = []
        for seconds, item_id in ((600.0, "a"), (600.0, "b"), (0.0, "c")):
            monkeypatch.setattr(trends_module, "TOP_SECONDS", seconds)
            await trends.count([event(item_id)])
            sizes.append(len(await trends.best("day", 10, all_of_them)))
        return sizes

    assert board.run(work) == [1, 1, 3]


def test_a_store_that_is_gone_costs_counts_and_nothing_else(board: Board, url: str) -> None:
    async def work(trends: Trends) -> None:
        with Redis.from_url(url) as redis:
            redis.shutdown(nosave=True)
        await trends.count([event("a"), event("b")])
        with pytest.raises(StoreError):
            await trends.best("day", 10, all_of_them)

    board.run(work)
    assert 'liverec_trend_events_total{outcome="lost"} 2.0' in board.metrics.render().decode()


def test_a_restarted_server_learns_the_script_again(board: Board, url: str) -> None:
    async def work(trends: Trends) -> list[Trend]:
        await trends.count([event("a")])
        with Redis.from_url(url) as redis:
            redis.script_flush()
        await trends.count([event("a")])
        return await trends.best("day", 10, all_of_them)

    assert board.run(work) == [Trend("a", pytest.approx(2, rel=1e-9))]


EVENTS = st.lists(
    st.tuples(st.sampled_from("abcdé "), st.floats(0, 1e6) | st.just(0.0), st.sampled_from([1.0, 2.5, 4.0, 5.0])),
    max_size=6,
)


@settings(max_examples=60, deadline=None)
@given(calls=st.lists(st.tuples(EVENTS, st.floats(0, 1e6)), max_size=6))
def test_a_plain_decayed_sum_says_the_same(
    store_url: str, calls: Sequence[tuple[Sequence[tuple[str, float, float]], float]]
) -> None:
    with Redis.from_url(store_url) as redis:
        redis.delete(LANDMARKS, *(f"{{trend}}:{window}" for window in HALF_LIVES))
    board, met = Board(store_url), list[Event]()
    for events, pause in calls:
        counted = [Event("u", item, "rating", value, board.now - ago) for item, ago, value in events]
        board.count(*counted)
        met += counted
        board.now += pause
    for window, half_life in HALF_LIVES.items():
        assert board.run(lambda trends, each=window: trends.of(each, list("abcdé "))) == board.best(window)
        expected: dict[str, float] = defaultdict(float)
        for each in met:
            expected[each.item_id] += (each.value - 1) / 4 * 0.5 ** ((board.now - each.timestamp) / half_life)
        found = board.scores(window)
        # What is too little to be shown may be missing.
        assert all(item in found for item, score in expected.items() if score > 1.001 * LEAST_SHOWN)
        for item, score in found.items():
            assert score == pytest.approx(expected[item], rel=1e-6)


def landmark_of(url: str, window: str) -> float:
    with Redis.from_url(url) as redis:
        return float(redis.hget(LANDMARKS, f"{{trend}}:{window}"))
