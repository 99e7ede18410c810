"""Call: one call of the service, made once and sent as often as it takes, the same byte for byte."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import httpx

from liverec.client.decoding import decode
from liverec.client.errors import AnswerError, ApiError, error_class, seconds_after

T = TypeVar("T")
MOST_SHOWN = 300


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """What is sent, and how its answer is read."""

    method: str
    path: str
    """Percent-encoded."""
    read: Callable[[Any], T]
    query: Mapping[str, Any] = field(default_factory=dict)
    content: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    patience: float = 0.0
    """Seconds that it may take beyond what a client waits otherwise."""

    @classmethod
    def get(cls, path: str, kind: type[T], query: Mapping[str, Any], **headers: str) -> Call[T]:
        """Return a GET whose answer is of that kind; what is None in the query is left out."""
        return cls("GET", path, partial(decode, kind), given(query), headers=headers)

    @classmethod
    def json(cls, method: str, path: str, kind: type[T], body: object, headers: Mapping[str, str] = {}) -> Call[T]:
        """Return a call with a JSON body; raises ValueError for what JSON does not have, such as NaN."""
        content = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
        return cls(method, path, partial(decode, kind), {}, content, {"Content-Type": "application/json", **headers})

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    def answer(self, response: httpx.Response) -> T:
        """Return what the response says; raises ApiError, and AnswerError if it is none of liverec's."""
        if not response.is_success:
            raise self._refused(response)
        try:
            data = response.json()
        except ValueError as error:
            raise AnswerError(f"{self}: the answer is no JSON: {response.text:.100}") from error
        return self.read(data)

    def _refused(self, response: httpx.Response) -> ApiError:
        return error_class(response.status_code)(
            str(self),
            response.status_code,
            problem_of(response),
            seconds_after(response.headers.get("Retry-After")),
            response.headers.get("X-Request-ID"),
        )


def problem_of(response: httpx.Response) -> dict[str, Any]:
    """Return the problem document of a refusal, or what a proxy put in its place."""
    try:
        problem = response.json()
    except ValueError:
        problem = response.text[:MOST_SHOWN]
    return problem if isinstance(problem, dict) else {"title": response.reason_phrase, "detail": problem}


def given(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is not None."""
    return {name: value for name, value in values.items() if value is not None}


def segment(external_id: str) -> str:
    """Return an id as one segment of a path, slashes and all."""
    # As they are, "." and ".." would be taken for a way through the path.
    return quote(external_id, safe="") if external_id.strip(".") else external_id.replace(".", "%2E")
