"""A worker that is told to end: what is under way and what still comes is answered, and then it ends."""

from __future__ import annotations

import signal
import socket
import time
from contextlib import ExitStack

import pytest
from raw_connection import LIVE, RawConnection

READY = b"GET /health/ready HTTP/1.1\r\nHost: a\r\n\r\n"
RATING = b'{"user_id":"drained","item_id":"item 1","rating":4}'
RATE = b"POST /rate HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s" % (len(RATING), RATING)


def told_to_end(service) -> None:
    """Send SIGTERM and return once nobody is accepted any more: all connections know by then."""
    service.http.close()
    service.process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", service.port), timeout=1).close()
        except ConnectionRefusedError:
            return
        time.sleep(0.01)
    raise AssertionError("it goes on accepting")


def test_open_connections_get_one_more_answer_and_the_end(start, url: str) -> None:
    service = start(redis_url=url, LIVEREC_DRAIN_SECONDS="8")
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
    assert service.process.wait(5) == -signal.SIGTERM or service.process.returncode == 128 + signal.SIGTERM


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
        service.process.wait(20)
