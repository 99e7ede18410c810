"""What is sent again, when, and that it counts once."""

from __future__ import annotations

import asyncio
import email.utils
import time
import uuid

import pytest
from flaky_proxy import CUT, LOST, Failure, FlakyProxy, busy
from served import free_port

from liverec.client import (
    AnswerError,
    AsyncClient,
    BadRequest,
    Client,
    Conflict,
    Feedback,
    Rating,
    Retries,
    TooMany,
    TransportError,
    Unavailable,
)

QUICK = Retries(attempts=4, first_wait=0.01, longest_wait=0.02, deadline=10)


@pytest.fixture
def user() -> str:
    return f"user {uuid.uuid4().hex}"


@pytest.fixture
def flaky(connect, proxy: FlakyProxy):
    return connect(proxy.url, retries=QUICK)


@pytest.mark.parametrize("failure", [LOST, Failure(502, reaches=True), Failure(504, reaches=True)])
def test_a_rating_whose_answer_was_lost_counts_once(flaky, client, proxy: FlakyProxy, user: str, failure) -> None:
    proxy.failures = [failure, failure]
    receipt = flaky.rate(user, "item 0", 5)
    assert (receipt.accepted, receipt.duplicates) == (0, 1)
    assert receipt.versions == {user: 1}
    assert len({(request.target, request.body) for request in proxy.seen}) == 1
    assert len(proxy.seen) == 3
    assert client.recommend(user).history_version == 1
    assert [event.rating for event in client.history(user).events] == [5]


def test_so_do_lists_feedback_and_what_is_undone(flaky, client, proxy: FlakyProxy, user: str) -> None:
    proxy.failures = [LOST]
    assert flaky.rate_many([Rating(user, "item 0", 5), Rating(user, "item 1", 4)]).duplicates == 2
    proxy.failures = [LOST]
    assert flaky.feedback_many([Feedback(user, "item 2", "click")]).duplicates == 1
    proxy.failures = [LOST]
    assert flaky.feedback(user, "item 3", "view").duplicates == 1
    assert len(client.history(user).events) == 4
    version = client.recommend(user).history_version
    proxy.failures = [LOST]
    flaky.undo(user, "item 0")
    assert client.recommend(user).history_version == version + 1
    assert [event.item_id for event in client.history(user).events] == ["item 3", "item 2", "item 1"]


@pytest.mark.parametrize("failure", [CUT, busy(429), busy(502), busy(503), busy(504), busy(503, None)])
def test_what_may_pass_is_tried_again(flaky, proxy: FlakyProxy, user: str, failure: Failure) -> None:
    proxy.failures = [failure] * 3
    assert flaky.recommend(user, n=2).user_id == user
    proxy.failures = [failure] * 3
    assert flaky.rate(user, "item 0", 5).accepted == 1
    assert len(proxy.seen) == 8


def test_items_are_sent_again(flaky, client, proxy: FlakyProxy) -> None:
    film = f"film {uuid.uuid4().hex}"
    proxy.failures = [LOST]
    flaky.add_item(film, title="The Owl")
    proxy.failures = [LOST]
    flaky.patch_item(film, year=1990)
    assert client.item(film).metadata == {"title": "The Owl", "year": 1990}
    proxy.failures = [LOST]
    assert flaky.delete_item(film).item_id == film
    assert len(proxy.seen) == 6


def test_attempts_are_bounded(flaky, proxy: FlakyProxy, user: str) -> None:
    proxy.failures = [busy()] * 10
    with pytest.raises(Unavailable, match=r"GET /recommend/.*503: not now"):
        flaky.recommend(user)
    assert len(proxy.seen) == QUICK.attempts


@pytest.mark.parametrize(("status", "kind"), [(422, BadRequest), (413, BadRequest), (409, Conflict), (500, None)])
def test_what_is_final_is_sent_once(flaky, proxy: FlakyProxy, user: str, status: int, kind) -> None:
    proxy.failures = [busy(status)] * 2
    with pytest.raises(kind or Exception) as caught:
        flaky.rate(user, "item 0", 5)
    assert caught.value.status == status
    assert len(proxy.seen) == 1


def test_the_service_says_how_long_to_wait(flaky, proxy: FlakyProxy, user: str) -> None:
    date = email.utils.formatdate(time.time() + 3, usegmt=True)
    proxy.failures = [busy(503, "1"), busy(429, date), busy(503, "soon")]
    flaky.recommend(user)
    first, second, third, fourth = (request.at for request in proxy.seen)
    assert second - first >= 1
    # A date has whole seconds.
    assert third - first >= 1.9
    assert fourth - third < 0.9


def test_a_wait_beyond_the_deadline_is_not_waited(flaky, proxy: FlakyProxy, user: str) -> None:
    proxy.failures = [busy(503, "60")]
    started = time.monotonic()
    with pytest.raises(Unavailable) as caught:
        flaky.recommend(user)
    assert time.monotonic() - started < 5
    assert caught.value.retry_after == 60


def test_waits_grow_and_are_bounded() -> None:
    retrying = Retries(attempts=9, first_wait=0.1, longest_wait=1.0).around()
    waits: list[float] = []
    retrying.sleep = waits.append
    for _ in range(30):
        with pytest.raises(TransportError):
            retrying(_fail)
    of_attempt = [waits[number::8] for number in range(8)]
    assert all(max(each) <= most for each, most in zip(of_attempt, (0.1, 0.2, 0.4, 0.8, 1, 1, 1, 1), strict=True))
    assert max(of_attempt[7]) > 0.5
    assert min(of_attempt[7]) < 0.5


def _fail() -> None:
    raise TransportError("cut")


def test_a_slow_service_is_not_waited_for(connect, proxy: FlakyProxy, user: str) -> None:
    proxy.failures = [Failure(503, seconds=4.0)] * 9
    impatient = connect(proxy.url, timeout=0.2, retries=Retries(attempts=2, first_wait=0.01))
    started = time.monotonic()
    with pytest.raises(TransportError, match="ReadTimeout"):
        impatient.recommend(user)
    assert 0.4 <= time.monotonic() - started < 3
    impatient = connect(proxy.url, timeout=5, retries=Retries(attempts=9, first_wait=0.01, deadline=0.3))
    started = time.monotonic()
    with pytest.raises(TransportError, match="ReadTimeout"):
        impatient.recommend(user)
    assert time.monotonic() - started < 3


def test_what_takes_long_is_waited_for(connect, proxy: FlakyProxy, user: str) -> None:
    proxy.failures = [Failure(200, seconds=0.6, body=b'{"user_id": "a"}')] * 2
    impatient = connect(proxy.url, timeout=0.2, retries=Retries(attempts=1, deadline=0.3))
    assert impatient.export_user(user) == {"user_id": "a"}
    assert impatient.delete_user(user).user_id == "a"


def test_a_slow_answer_to_a_rating_counts_once(connect, proxy: FlakyProxy, user: str) -> None:
    proxy.failures = [Failure(503, reaches=True, seconds=2.5)]
    impatient = connect(proxy.url, timeout=1.5, retries=Retries(first_wait=0.01))
    assert impatient.rate(user, "item 0", 5).duplicates == 1


def test_nobody_there(connect, user: str) -> None:
    with pytest.raises(TransportError, match=r"POST /rate: ConnectError"):
        connect(f"http://127.0.0.1:{free_port()}", retries=QUICK).rate(user, "item 0", 5)


def test_another_service_is_none_of_ours(connect, proxy: FlakyProxy, user: str) -> None:
    proxy.failures = [Failure(200, body=b"<html>"), Failure(200, body=b'{"a": 1}'), Failure(200, body=b"[]")]
    client = connect(proxy.url)
    with pytest.raises(AnswerError, match="no JSON"):
        client.recommend(user)
    with pytest.raises(AnswerError, match="no 'items'"):
        client.recommend(user)
    with pytest.raises(AnswerError, match="dict"):
        client.recommend(user)


def test_a_proxy_refuses_in_its_own_words(connect, proxy: FlakyProxy, user: str) -> None:
    proxy.failures = [Failure(429, body=b"<html>slow down</html>")]
    with pytest.raises(TooMany, match="slow down"):
        connect(proxy.url, retries=Retries(attempts=1)).recommend(user)


def test_many_tasks_share_a_client(proxy: FlakyProxy) -> None:
    proxy.failures = [busy(), LOST, CUT] * 10
    users = [f"user {uuid.uuid4().hex}" for _ in range(30)]

    async def rate_all() -> list[dict[str, int]]:
        async with AsyncClient(proxy.url, retries=Retries(attempts=20, first_wait=0.01, longest_wait=0.05)) as client:
            return [each.versions for each in await asyncio.gather(*(client.rate(user, "item 0", 5) for user in users))]

    assert asyncio.run(rate_all()) == [{user: 1} for user in users]


@pytest.mark.parametrize("wrong", [{"attempts": 0}, {"deadline": 0}])
def test_retries_that_send_nothing(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Retries(**wrong)


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://here", "http://", "http://a:b:c"])
def test_a_url_that_is_none(url: str) -> None:
    with pytest.raises(ValueError, match="url"):
        Client(url)
