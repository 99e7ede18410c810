"""Connections of clients that are wrong, slow, hostile or too many."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, suppress
from itertools import pairwise
from time import sleep

import psutil
import pytest
from raw_connection import LIVE, RawConnection

RATING = b'{"user_id":"smuggled","item_id":"item 1","rating":4}'
SMUGGLED = b"POST /rate HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s" % (len(RATING), RATING)
BOTH = b"POST /rate HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"


@pytest.fixture(scope="module")
def patient(start):
    """A worker that waits longer than a busy machine takes to send or read anything."""
    return start(LIVEREC_HEAD_SECONDS="60", LIVEREC_BODY_SECONDS="60")


@pytest.fixture(scope="module")
def hasty(start):
    """A worker that waits a second for what is slow."""
    return start(LIVEREC_HEAD_SECONDS="1", LIVEREC_BODY_SECONDS="1")


@pytest.fixture
def raw(patient) -> Iterator[RawConnection]:
    with RawConnection(patient.port) as connection:
        yield connection


@pytest.fixture
def slow(hasty) -> Iterator[RawConnection]:
    with RawConnection(hasty.port) as connection:
        yield connection


@pytest.mark.parametrize(
    "request_",
    [
        b"BREW / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET  HTTP/1.1\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: a\x00b\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: a\r\n folded\r\n\r\n",
        b"GET http:// HTTP/1.1\r\n\r\n",
        b"CONNECT a:1 HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01",
        b"POST /rate HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_what_is_no_http_is_a_400_and_the_end(raw: RawConnection, request_: bytes) -> None:
    raw.send(request_).answer().check_problem(400, "no HTTP/1.1 request")
    assert raw.is_closed()


def test_the_request_id_comes_back(raw: RawConnection) -> None:
    answer = raw.send(b"GET / HTTP/1.1\r\nX-Request-ID: mine\r\nX: a\x00b\r\n\r\n").answer()
    assert answer.headers["x-request-id"] == "mine"


@pytest.mark.parametrize("of", [100, 1_000, 70_000])
def test_a_url_may_have_64_kb(raw: RawConnection, of: int) -> None:
    raw.send(b"GET /nowhere?" + b"a" * (65_535 - 9) + b" HTTP/1.1\r\nHost: a\r\n\r\n")
    assert raw.answer().status == 404
    request = b"GET /nowhere?" + b"a" * 65_535
    raw.send(*(request[start : start + of] for start in range(0, len(request), of)))
    raw.answer().check_problem(414, "65535")
    assert raw.is_closed()


@pytest.mark.parametrize(
    "headers",
    [
        b"".join(b"X-%d: a\r\n" % number for number in range(101)) + b"\r\n",
        b"X: " + b"a" * 32_768 + b"\r\n\r\n",
        b"X: " + b"a" * 200_000,
        b"a" * 200_000,
    ],
    ids=["count", "size", "value without end", "name without end"],
)
def test_headers_are_bounded(raw: RawConnection, headers: bytes) -> None:
    raw.send(b"GET /health/live HTTP/1.1\r\n", headers).answer().check_problem(431, "100 headers", "32768")
    assert raw.is_closed()


@pytest.mark.parametrize("pause", [0.0, 0.02])
def test_a_header_without_end_is_refused_however_much_is_read_at_once(patient, pause: float) -> None:
    for _ in range(10):
        with RawConnection(patient.port) as raw:
            raw.send(b"GET /health/live HTTP/1.1\r\n")
            sleep(pause)
            raw.send(b"a" * 120_000).answer().check_problem(431)


@pytest.mark.parametrize("pieces", [(), (4, -1), (4, 16_000, 70_000, -100)])
def test_the_largest_head_is_fine(raw: RawConnection, pieces: tuple[int, ...]) -> None:
    values = [b"b" * 322] * 99 + [b"b" * (32_768 - 99 * 322 - 500)]
    lines = [b"GET /nowhere?" + b"a" * (65_535 - 9) + b" HTTP/1.1"]
    lines += [b"X-%03d: %s" % each for each in enumerate(values)]
    head = b"\r\n".join(lines) + b"\r\n\r\n"
    for _ in range(2):
        for start, end in pairwise((0, *pieces, None)):
            raw.send(head[start:end])
            sleep(0.05)
        assert raw.answer().status == 404


def test_a_hundred_headers_are_fine(raw: RawConnection) -> None:
    headers = b"".join(b"X-%d: a\r\n" % number for number in range(100))
    for _ in range(3):
        assert raw.send(b"GET /health/live HTTP/1.1\r\n" + headers + b"\r\n").answer().status == 200


def test_what_follows_a_body_is_no_header_of_the_request(raw: RawConnection) -> None:
    head = b"POST /rate HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"%x\r\n%s\r\n0\r\n" % (len(RATING), RATING.replace(b"smuggled", b"trailing"))
    answer = raw.send(head, chunk, b"X-Request-ID: trailer\r\n\r\n").answer()
    assert answer.status == 200
    assert answer.headers["x-request-id"] != "trailer"
    raw.send(head, b"0\r\n", b"X: " + b"a" * 10_000 + b"\r\n", b"Y: " + b"a" * 30_000 + b"\r\nZ")
    raw.answer().check_problem(431)


@pytest.mark.parametrize("before", [b"0\r\nX: ", b"3;x="], ids=["trailer", "extension"])
def test_what_follows_a_body_is_bounded_though_it_does_not_end(raw: RawConnection, before: bytes) -> None:
    head = b"POST /rate HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    raw.send(head + before)
    with suppress(ConnectionError):
        for _ in range(1_000):
            raw.send(b"a" * 10_000)
    raw.answer().check_problem(431)


def test_a_large_body_may_come_with_the_end_of_its_head(patient) -> None:
    body = b'{"item_id": "large", "description": "' + b"x" * 190_000 + b'"}'
    for _ in range(3):
        with RawConnection(patient.port) as raw:
            raw.send(b"POST /items HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n")
            sleep(0.05)
            assert raw.send(b"Content-Length: %d\r\n\r\n%s" % (len(body), body)).answer().status in (200, 422)


def test_a_body_whose_length_is_told_twice_is_refused_and_what_it_hides_is_not_done(patient) -> None:
    lengths = BOTH.replace(b"Transfer-Encoding: chunked", b"Content-Length: 6")
    for request in (BOTH, lengths, BOTH.replace(b"5", b"+5"), BOTH.replace(b"Content-Length", b"Content-Length ")):
        with RawConnection(patient.port) as raw:
            raw.send(request + SMUGGLED).answer().check_problem(400)
            assert raw.is_closed()
    with RawConnection(patient.port) as raw:
        history = raw.send(b"GET /users/smuggled/history HTTP/1.1\r\nHost: a\r\n\r\n").answer()
        assert history.json()["events"] == []


def test_a_refusal_waits_for_the_answers_before_it(raw: RawConnection) -> None:
    rating = SMUGGLED.replace(b"smuggled", b"honestly")
    raw.send(rating * 3 + b"nonsense\r\n\r\n" + rating)
    assert [raw.answer().status for _ in range(3)] == [200, 200, 200]
    raw.answer().check_problem(400)
    assert raw.is_closed()


def test_a_wrong_body_after_others_is_refused_in_its_turn(raw: RawConnection) -> None:
    rating = SMUGGLED.replace(b"smuggled", b"in a row")
    raw.send(rating * 2 + b"POST /rate HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
    assert [raw.answer().status for _ in range(2)] == [200, 200]
    raw.answer().check_problem(400)
    assert raw.is_closed()


@pytest.mark.parametrize("head", [b"GET /health/live HTTP/1.1\r\nX: ", b"G"])
def test_a_head_that_does_not_come_is_a_408(slow: RawConnection, head: bytes) -> None:
    assert slow.send(LIVE).answer().status == 200
    slow.send(head).answer().check_problem(408, "LIVEREC_HEAD_SECONDS")
    assert slow.is_closed()


def test_a_body_that_stalls_is_a_408(slow: RawConnection) -> None:
    stalled = slow.send(b"POST /rate HTTP/1.1\r\nContent-Length: 100\r\n\r\n{").answer()
    stalled.check_problem(408, "LIVEREC_BODY_SECONDS")
    assert slow.is_closed()


@pytest.mark.parametrize("first", [b"", b"\r\n\r\n", LIVE + b"\r\n"], ids=["nothing", "line feeds", "after one"])
def test_who_says_nothing_is_not_waited_for(slow: RawConnection, first: bytes) -> None:
    slow.send(first)
    if first.startswith(LIVE):
        assert slow.answer().status == 200
    assert slow.is_closed()


def test_who_does_not_read_is_cut_off(hasty) -> None:
    hasty.http.close()
    with RawConnection(hasty.port) as deaf:
        # More answers than the buffers on the way hold.
        deaf.send(b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n" * 300)
        for _ in range(40):
            if not _connections(hasty):
                break
        assert not _connections(hasty)
    with RawConnection(hasty.port) as other:
        assert other.send(LIVE).answer().status == 200


def _connections(service) -> int:
    sleep(0.25)
    found = psutil.Process(service.process.pid).net_connections("tcp")
    return sum(each.status == psutil.CONN_ESTABLISHED and each.laddr.port == service.port for each in found)


def test_an_upgrade_that_is_not_offered_is_answered_as_if_nobody_had_asked(patient) -> None:
    for kind in (b"h2c", b"websocket"):
        with RawConnection(patient.port) as raw:
            asked = LIVE.replace(b"\r\n\r\n", b"\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n" % kind)
            answer = raw.send(asked, LIVE).answer()
            assert (answer.status, answer.headers["connection"]) == (200, "close")
            assert raw.is_closed()


def test_connections_are_bounded_and_refusals_are_counted(start) -> None:
    service = start(LIVEREC_MAX_CONNECTIONS="4")
    service.http.close()
    with ExitStack() as stack:
        first, *others = [stack.enter_context(RawConnection(service.port)) for _ in range(4)]
        for each in (first, *others):
            assert each.send(LIVE).answer().status == 200
        with RawConnection(service.port) as surplus:
            answer = surplus.send(LIVE).answer()
            answer.check_problem(503, "LIVEREC_MAX_CONNECTIONS")
            assert answer.headers["retry-after"] == "1"
            assert surplus.is_closed()
        assert first.send(LIVE).answer().status == 200
        flood = [stack.enter_context(RawConnection(service.port)) for _ in range(8)]
        assert flood[-1].is_closed()
        metrics = others[0].send(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n").answer().content
        assert b'liverec_refused_total{status="503"} 1.0' in metrics
