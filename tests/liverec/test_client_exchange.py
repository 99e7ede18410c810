"""What the clients show of themselves, and how they read answers and refusals."""

from __future__ import annotations

import pickle
import uuid

import pytest
from flaky_proxy import Failure, FlakyProxy

from liverec.client import Answer, AsyncClient, BadRequest, Client, Denied, Retries, Unavailable
from liverec.client.decoding import decode
from liverec.client.options import ItemFields

ONCE = Retries(attempts=1)


def test_the_key_is_sent_and_never_shown(connect, proxy: FlakyProxy) -> None:
    client = connect(proxy.url, api_key="secret-key", retries=ONCE)
    proxy.failures = [Failure(503)]
    with pytest.raises(Unavailable) as caught:
        client.recommend("somebody")
    assert proxy.seen[0].headers["X-API-Key"] == "secret-key"
    assert "secret" not in repr(caught.value) + str(caught.value)


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_is_not_enough_is_an_error_of_its_own(connect, proxy: FlakyProxy, status: int) -> None:
    client = connect(proxy.url, api_key="secret-key")
    proxy.failures = [Failure(status)]
    with pytest.raises(Denied) as caught:
        client.recommend("somebody")
    assert caught.value.status == status
    assert len(proxy.seen) == 1


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize("key", ["secret\nkey", "sécret", "", " "])
def test_a_key_that_no_header_can_hold(kind, key: str) -> None:
    with pytest.raises(ValueError, match="api_key: it must be") as caught:
        kind(api_key=key)
    assert "cret" not in str(caught.value)


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_no_secret_is_shown(kind) -> None:
    shown = repr(kind("http://me:secret@here:80/x", api_key="secret"))
    assert "secret" not in shown.replace("[secure]", "")
    assert "here" in shown


def test_a_deadline_is_a_header(connect, proxy: FlakyProxy) -> None:
    connect(proxy.url).recommend("somebody", n=1, deadline_ms=2_500)
    assert proxy.seen[0].headers["X-Deadline-Ms"] == "2500"
    assert proxy.seen[0].target == "/recommend/somebody?n=1"


def test_a_refusal_names_the_fields(client) -> None:
    with pytest.raises(BadRequest) as caught:
        client.rate("", "item 0", 5)
    error = caught.value
    assert error.status == 422
    assert any("user_id" in name for name in error.fields)
    assert "user_id" in str(error)
    assert error.request_id
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.fields) == (BadRequest, str(error), error.fields)


def test_an_unknown_option_is_refused(client) -> None:
    with pytest.raises(BadRequest, match="diversty"):
        client.recommend_batch([{"user_id": "a", "diversty": 1}])


def test_what_json_does_not_have_is_not_sent(connect, proxy: FlakyProxy) -> None:
    with pytest.raises(ValueError, match="JSON"):
        connect(proxy.url).rate("a", "b", float("nan"))
    assert not proxy.seen


def test_what_a_url_cannot_say_is_not_left_out(connect, proxy: FlakyProxy) -> None:
    client = connect(proxy.url)
    with pytest.raises(ValueError, match="include"):
        client.recommend("somebody", include=[])
    assert not proxy.seen
    (answer,) = client.recommend_batch([{"user_id": "somebody", "include": []}])
    assert all(item.metadata == {} for item in answer.items)


def test_an_older_client_reads_a_newer_service() -> None:
    item = {"item_id": "a", "rank": 1, "score": 1, "because": [{"item_id": "b", "weight": 0.5, "new": 1}], "new": []}
    answer = decode(Answer, {"recommendation_id": "r", "source": "new", "items": [item], "new": {}})
    assert answer.item_ids == ["a"]
    assert isinstance(answer.items[0].score, float)
    assert answer.items[0].because[0].drop is None


def test_a_key_of_a_service_that_reads_none_is_no_harm(connect, films_url: str) -> None:
    client = connect(films_url, api_key=uuid.uuid4().hex)
    assert client.live().status == "live"


def test_files_are_fields() -> None:
    assert {"image", "audio"} < ItemFields.__annotations__.keys()
