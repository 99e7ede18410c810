"""How many requests are let in: all that fit, and while there is too much to do, those that need not wait long."""

from __future__ import annotations

import time

import pytest

from app.permits import BUSY_WINDOWS, LEAST, WINDOW_SECONDS, Permits, busy_seconds

MOST = 64


class Worker:
    """A worker whose requests all take the same time of its processor."""

    def __init__(self, wait_seconds: float | None, cost: float) -> None:
        self.now = self.busy = 0.0
        self.cost = cost
        self.permits = Permits(MOST, wait_seconds, lambda: self.now, lambda: self.busy)

    def works(self, seconds: float, share: float = 1.0) -> None:
        """Answer one request after the other, and rest for what is left of the time."""
        until = self.now + seconds
        while self.now < until:
            assert self.permits.has_room()
            self.permits.take()
            self.now += self.cost / share
            self.busy += self.cost
            self.permits.give()


@pytest.mark.parametrize(("cost", "wanted"), [(0.0002, 50), (0.0001, MOST), (0.002, LEAST), (0.05, LEAST)])
def test_who_has_too_much_to_do_lets_in_what_it_can_do_in_time(cost: float, wanted: int) -> None:
    worker = Worker(0.01, cost)
    worker.works(2 * BUSY_WINDOWS * WINDOW_SECONDS)
    assert worker.permits.limit == pytest.approx(wanted, abs=1)


def test_the_clock_counts_what_is_done_and_not_what_is_waited_for() -> None:
    began = busy_seconds()
    time.sleep(0.2)
    rested = busy_seconds() - began
    until = time.thread_time() + 0.05
    while time.thread_time() < until:
        pass
    assert rested < 0.1
    assert busy_seconds() - began >= 0.045 + rested


def test_a_burst_is_let_in() -> None:
    worker = Worker(0.01, 0.001)
    worker.works(WINDOW_SECONDS * (BUSY_WINDOWS - 2))
    for _ in range(MOST):
        assert worker.permits.has_room()
        worker.permits.take()
    assert not worker.permits.has_room()


def test_who_waits_for_turns_neither_counts_nor_is_refused() -> None:
    worker = Worker(0.01, 0.001)
    worker.works(2 * BUSY_WINDOWS * WINDOW_SECONDS)
    for _ in range(MOST - 1):
        assert worker.permits.has_room(is_patient=True)
        worker.permits.take(is_patient=True)
    assert worker.permits.has_room()
    worker.permits.take()
    assert not worker.permits.has_room(is_patient=True)


def test_what_is_over_is_forgotten() -> None:
    worker = Worker(0.01, 0.001)
    worker.works(2 * BUSY_WINDOWS * WINDOW_SECONDS)
    assert worker.permits.limit < MOST
    worker.works(2 * WINDOW_SECONDS, share=0.5)
    assert worker.permits.limit == MOST


def test_who_waits_for_others_is_not_busy() -> None:
    worker = Worker(0.01, 0.001)
    worker.works(2 * BUSY_WINDOWS * WINDOW_SECONDS, share=0.8)
    assert worker.permits.limit == MOST


def test_without_a_time_there_are_always_as_many() -> None:
    worker = Worker(None, 0.001)
    worker.works(2 * BUSY_WINDOWS * WINDOW_SECONDS)
    assert worker.permits.limit == MOST
