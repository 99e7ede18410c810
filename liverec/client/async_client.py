"""AsyncClient: liverec from asyncio."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import wraps
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar, Unpack

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


def _sent(build: Callable[P, Call[T]]) -> Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, T]]:
    @wraps(build)
    async def method(self: AsyncClient, /, *arguments: P.args, **named: P.kwargs) -> T:
        return await self.send(build(*arguments, **named))

    return method


class AsyncClient:
    """The same calls as `Client`'s, to be awaited; one for all tasks of an event loop.

    >>> async with AsyncClient("http://127.0.0.1:8000") as client:
    ...     answer = await client.recommend("42", n=3)
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        api_key: str | None = None,
        timeout: float = 5.0,
        retries: Retries = DEFAULT_RETRIES,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """As `Client`'s."""
        self._http = httpx.AsyncClient(base_url=base_url(url), headers=headers(api_key), transport=transport)
        self._timeout = timeout
        self._retries = retries

    async def send(self, call: Call[T]) -> T:
        """Send a call, again where that may help, and return its answer."""
        latest = time.monotonic() + self._retries.deadline + call.patience
        return await self._retries.around_coroutine()(self._once, call, latest)

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

    async def bulk(self, events: Events, *, on_error: OnError = "stop") -> BulkReport:
        """Send any number of events, as `Client`'s does."""
        report = BulkReport()
        for call in bulk_calls(events, on_error):
            try:
                report = report.followed_by(await self.send(call))
            except ApiError as error:
                error.add_note(f"{report.line} lines before these are written")
                raise
        return report

    async def pages(self, user_id: str, **options: Unpack[TimedOptions]) -> AsyncIterator[Answer]:
        """Yield page after page of `recommend`, until nothing is left."""
        answer = await self.recommend(user_id, **options)
        while answer.items:
            yield answer
            if answer.cursor is None:
                return
            options["cursor"] = answer.cursor
            answer = await self.recommend(user_id, **options)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._http.base_url!r})"

    async def _once(self, call: Call[T], latest: float) -> T:
        seconds = max(0.001, min(self._timeout + call.patience, latest - time.monotonic()))
        try:
            response = await self._http.request(
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
