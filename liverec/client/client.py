"""Client: liverec from plain code."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import wraps
from types import TracebackType
from typing import Concatenate, ParamSpec, Self, TypeVar, Unpack

import httpx

from liverec.client import requests
from liverec.client.address import DEFAULT_URL, base_url, headers
from liverec.client.answers import Answer, BulkReport
from liverec.client.bulk import Events, OnError, bulk_calls
from liverec.client.call import Call
from liverec.client.errors import ApiError, TransportError
from liverec.client.options import TimedOptions
from liverec.client.retries import DEFAULT_RETRIES, Retries

P = ParamSpec("P")
T = TypeVar("T")


def _sent(build: Callable[P, Call[T]]) -> Callable[Concatenate[Client, P], T]:
    @wraps(build)
    def method(self: Client, /, *arguments: P.args, **named: P.kwargs) -> T:
        return self.send(build(*arguments, **named))

    return method


class Client:
    """Calls a service; safe to share between threads. Each method raises the errors of `liverec.client.errors`.

    >>> with Client("http://127.0.0.1:8000") as client:
    ...     receipt = client.rate("42", "50", 5)
    ...     answer = client.recommend("42", n=3, min_version=receipt.versions["42"])
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        api_key: str | None = None,
        timeout: float = 5.0,
        retries: Retries = DEFAULT_RETRIES,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """`timeout`: seconds that an attempt waits to connect, and for each piece of the answer.

        Raises ValueError for a URL that is none.
        """
        self._http = httpx.Client(base_url=base_url(url), headers=headers(api_key), transport=transport)
        self._timeout = timeout
        self._retries = retries

    def send(self, call: Call[T]) -> T:
        """Send a call, again where that may help, and return its answer."""
        latest = time.monotonic() + self._retries.deadline + call.patience
        answer: T = self._retries.around()(self._once, call, latest)
        return answer

    recommend = _sent(requests.recommend)
    recommend_batch = _sent(requests.recommend_batch)
    session = _sent(requests.session)
    rank = _sent(requests.rank)
    predict = _sent(requests.predict)
    popular = _sent(requests.popular)
    latest = _sent(requests.latest)
    trending = _sent(requests.trending)

    rate = _sent(requests.rate)
    rate_many = _sent(requests.rate_many)
    feedback = _sent(requests.feedback)
    feedback_many = _sent(requests.feedback_many)
    undo = _sent(requests.undo)

    history = _sent(requests.history)
    export_user = _sent(requests.export_user)
    delete_user = _sent(requests.delete_user)

    add_item = _sent(requests.add_item)
    add_items = _sent(requests.add_items)
    patch_item = _sent(requests.patch_item)
    delete_item = _sent(requests.delete_item)
    item = _sent(requests.item)
    items = _sent(requests.items)
    similar = _sent(requests.similar)
    put_image = _sent(requests.put_image)
    put_audio = _sent(requests.put_audio)

    live = _sent(requests.live)
    ready = _sent(requests.ready)

    def bulk(self, events: Events, *, on_error: OnError = "stop") -> BulkReport:
        """Send any number of events: an iterable, or a file (.parquet, else one JSON object on each line).

        They go in pieces, each sent again where that may help. A line that is wrong raises BadRequest, or is skipped;
        the error's notes say how many lines went before its piece.
        """
        report = BulkReport()
        for call in bulk_calls(events, on_error):
            try:
                report = report.followed_by(self.send(call))
            except ApiError as error:
                error.add_note(f"{report.line} lines before these are written")
                raise
        return report

    def pages(self, user_id: str, **options: Unpack[TimedOptions]) -> Iterator[Answer]:
        """Yield page after page of `recommend`, until nothing is left."""
        answer = self.recommend(user_id, **options)
        while answer.items:
            yield answer
            if answer.cursor is None:
                return
            options["cursor"] = answer.cursor
            answer = self.recommend(user_id, **options)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._http.base_url!r})"

    def _once(self, call: Call[T], latest: float) -> T:
        seconds = max(0.001, min(self._timeout + call.patience, latest - time.monotonic()))
        try:
            response = self._http.request(
                call.method,
                call.path,
                params=call.query or None,
                content=call.content,
                headers=call.headers,
                timeout=seconds,
            )
        except httpx.RequestError as error:
            raise TransportError(f"{call}: {type(error).__name__}: {error}") from error
        return call.answer(response)
