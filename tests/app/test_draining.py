"""A worker that is told to end: what is under way and what still comes is answered, and then it ends."""

from __future__ import annotations

import signal
import socket
import time
from contextlib import ExitStack

import psutil
import pytest
from raw_connection import LIVE, RawConnection

DRAIN_SECONDS = 8
READY = b"GET /health/ready HTTP/1.1\r\nHost: a\r\n\r\n"
RATING = b'{"user_id":"drained","item_id":"item 1","rating":4}'
RATE = b"POST /rate HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s" % (len(RATING), RATING)


def told_to_end(service) -> None:
    """Send SIGTERM and return once a new connection is told so: all others know by then."""
    service.http.close()
    service.process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with RawConnection(service.port) as probe:
            answer = probe.send(READY).answer()
        if answer.status == 503:
            answer.check_problem(503, "draining")
            return
        time.sleep(0.01)
    raise AssertionError("it goes on as before")


def test_open_connections_get_one_more_answer_and_the_end(start, url: str) -> None:
    service = start(redis_url=url, LIVEREC_DRAIN_SECONDS=str(DRAIN_SECONDS))
    with ExitStack() as stack:
        idle, half, body, ready, crowd = [stack.enter_context(RawConnection(service.port)) for _ in range(5)]
        for each in (idle, half, body, ready, crowd):
            assert "connection" not in each.send(LIVE).answer().headers
        half.send(RATE[:20])
        body.send(RATE[:-10])
        # What was sent has arrived once a later request is answered.
        assert service.http.get("/health/ready").json()["status"] == "ready"
        told_to_end(service)
        half.send(RATE[20:])
        body.send(RATE[-10:])
        idle.send(LIVE)
        crowd.send(LIVE * 4)
        for each in (half, body, idle):
            answer = each.answer()
            assert (answer.status, answer.headers["connection"]) == (200, "close")
            assert each.is_closed()
        refused = ready.send(READY).answer()
        refused.check_problem(503, "draining")
        assert [crowd.answer().headers.get("connection") for _ in range(4)] == [None, None, None, "close"]
        assert crowd.is_closed()
        with RawConnection(service.port) as late:
            answer = late.send(RATE).answer()
            assert (answer.status, answer.headers["connection"]) == (200, "close")
    ended_by(signal.SIGTERM, service)


def refuses(service) -> None:
    """Return once nobody is let in any more."""
    deadline = time.monotonic() + DRAIN_SECONDS
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", service.port), timeout=1).close()
        except ConnectionError:
            return
        time.sleep(0.01)
    raise AssertionError("it goes on accepting")


def ended_by(number: signal.Signals, service) -> None:
    """Send a second signal, after which not even what is under way is waited for."""
    with RawConnection(service.port) as stuck, RawConnection(service.port) as probe:
        stuck.send(RATE[:-1])
        probe.send(LIVE).answer()
        service.process.send_signal(number)
        service.process.wait(30)
    assert b"exceeded" not in service.process.stderr.read()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda each: each.name)
def test_several_workers_drain_too_and_a_second_signal_ends_them(start, url: str, tmp_path, number) -> None:
    service = start(redis_url=url, workers=2, LIVEREC_DRAIN_SECONDS=str(DRAIN_SECONDS), LIVEREC_VAR=str(tmp_path))
    told_to_end(service)
    ended_by(number, service)


@pytest.mark.parametrize("workers", [1, 2])
def test_who_was_connected_is_answered_though_nobody_had_accepted(start, url: str, tmp_path, workers: int) -> None:
    service = start(redis_url=url, workers=workers, LIVEREC_DRAIN_SECONDS="0", LIVEREC_VAR=str(tmp_path))
    service.http.close()
    family = psutil.Process(service.process.pid)
    asleep = [family, *(each for each in family.children() if "spawn_main" in str(each.cmdline()))]
    for each in asleep:
        each.suspend()
    # The system connects them, up to the backlog, whatever the service does.
    with ExitStack() as stack:
        waiting = [stack.enter_context(RawConnection(service.port)).send(RATE) for _ in range(60)]
        time.sleep(0.3)
        for each in asleep:
            each.send_signal(signal.SIGTERM)
        for each in reversed(asleep):
            each.resume()
        for each in waiting:
            answer = each.answer()
            assert (answer.status, answer.headers["connection"]) == (200, "close")
    service.process.wait(15)


def test_on_ctrl_c_nobody_new_is_let_in(start, url: str) -> None:
    service = start(redis_url=url, LIVEREC_DRAIN_SECONDS=str(DRAIN_SECONDS))
    with RawConnection(service.port) as known:
        assert known.send(LIVE).answer().status == 200
        service.http.close()
        service.process.send_signal(signal.SIGINT)
        refuses(service)
        answer = known.send(LIVE).answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
    assert service.process.wait(10) == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_idle_connections_do_not_hold_it_up_for_ever(start, url: str, tmp_path, workers: int) -> None:
    service = start(redis_url=url, workers=workers, LIVEREC_DRAIN_SECONDS="0.5", LIVEREC_VAR=str(tmp_path))
    with RawConnection(service.port) as idle, RawConnection(service.port) as silent:
        assert idle.send(LIVE).answer().status == 200
        service.http.close()
        service.process.send_signal(signal.SIGTERM)
        assert idle.is_closed()
        assert silent.is_closed()
        service.process.wait(10)


def test_a_body_that_never_comes_does_not_either(start, url: str) -> None:
    service = start(redis_url=url)
    with RawConnection(service.port) as stuck:
        stuck.send(RATE[:-1])
        service.http.get("/health/live")
        service.http.close()
        service.process.send_signal(signal.SIGTERM)
        service.process.wait(30)
    assert b"exceeded" in service.process.stderr.read()
