"""Requests made from the OpenAPI of a running service, right and wrong ones, alone and in chains; and what is wrong
with the answers."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode, Response, SerializationContext
from schemathesis.checks import response_schema_conformance, status_code_conformance

PROBLEM = "application/problem+json"
BEFORE_ROUTING = {400, 414, 431}
"""What any path may answer, so that no operation names it: no HTTP/1.1, a URL or headers that are too long."""
USER = {"user_id": "$request.body#/user_id"}
ITEM = {"item_id": "$request.body#/item_id"}
LINKS: dict[tuple[str, str], list[tuple[str, str, dict[str, Any]]]] = {
    ("post", "/rate"): [
        ("get", "/recommend/{user_id}", USER),
        ("get", "/users/{user_id}/history", USER),
        ("get", "/users/{user_id}/export", USER),
        ("delete", "/users/{user_id}", USER),
        ("delete", "/rate/{user_id}/{item_id}", USER | ITEM),
    ],
    ("post", "/feedback"): [("get", "/recommend/{user_id}", USER), ("get", "/users/{user_id}/history", USER)],
    ("get", "/recommend/{user_id}"): [
        (
            "get",
            "/recommend/{user_id}",
            {"user_id": "$request.path.user_id", "query.cursor": "$response.body#/cursor"},
        ),
        ("get", "/items/{item_id}", {"item_id": "$response.body#/items/0/item_id"}),
        ("get", "/items/{item_id}/similar", {"item_id": "$response.body#/items/0/item_id"}),
    ],
    ("get", "/users/{user_id}/history"): [
        (
            "get",
            "/users/{user_id}/history",
            {"user_id": "$request.path.user_id", "query.cursor": "$response.body#/cursor"},
        ),
    ],
    ("post", "/items"): [
        ("get", "/items/{item_id}", ITEM),
        ("patch", "/items/{item_id}", ITEM),
        ("delete", "/items/{item_id}", ITEM),
    ],
}


@schemathesis.serializer("application/x-ndjson")
def as_lines(_context: SerializationContext, value: object) -> bytes:
    """Return a body with each value on a line."""
    values = value if isinstance(value, list) else [value]
    return b"".join(
        each if isinstance(each, bytes) else json.dumps(each).encode(errors="replace") + b"\n" for each in values
    )


@schemathesis.serializer("image/png", "audio/wav", "application/vnd.apache.parquet")
def as_bytes(_context: SerializationContext, value: object) -> bytes:
    """Return a body that claims to be a picture, a sound or a table."""
    return value if isinstance(value, bytes) else str(value).encode(errors="replace")


def linked(document: dict[str, Any]) -> dict[str, Any]:
    """Return an OpenAPI document with the links between its operations."""
    paths = document["paths"]
    for (method, path), targets in LINKS.items():
        links = paths[path][method]["responses"]["200"].setdefault("links", {})
        for to_method, to_path, parameters in targets:
            target = paths[to_path][to_method]["operationId"]
            links[f"{to_method} {to_path}"] = {"operationId": target, "parameters": parameters}
    return document


class Fuzzing:
    """Sends cases to one service and remembers what became of them."""

    def __init__(self, base_url: str) -> None:
        document = requests.get(f"{base_url}/openapi.json", timeout=10).json()
        self.schema = schemathesis.openapi.from_dict(linked(document))
        self.schema.config.update(base_url=base_url)
        self.session = requests.Session()
        self.statuses: Counter[str] = Counter()
        self.operations: Counter[str] = Counter()
        self.failures: dict[str, str] = {}

    @property
    def cases(self) -> int:
        return self.statuses.total()

    def send_each(self, examples: int, number: int = 1) -> None:
        """Send cases to each operation, half of them wrong."""
        for operation in self.schema.get_all_operations():
            for mode in GenerationMode:
                self._send(operation.ok(), mode, examples // 2, number)

    def send_chains(self, examples: int, steps: int, number: int = 1) -> None:
        """Send chains of cases, in which a later one takes ids and cursors from what came before."""
        fuzzing = self

        class Chain(self.schema.as_state_machine()):  # type: ignore[misc]
            def get_call_kwargs(self, _case: Case) -> dict[str, Any]:
                return {"session": fuzzing.session, "timeout": 20}

            def validate_response(self, response: Response, case: Case, **_more: object) -> None:
                fuzzing.judge(case, response)

        seed(number)(Chain).run(settings=quick(examples, stateful_step_count=steps))

    def judge(self, case: Case, response: Response) -> None:
        """Count an answer, and remember what is wrong with it; the first of its kind is enough."""
        operation = case.operation.label
        self.statuses[str(response.status_code)] += 1
        self.operations[operation] += 1
        for fault in self._faults(case, response):
            self.failures.setdefault(f"{operation} {response.status_code} {fault[:80]}", f"{fault}\n{_shown(case)}")

    def _send(self, operation: Any, mode: GenerationMode, examples: int, number: int) -> None:
        @seed(number)
        @quick(examples)
        @given(case=operation.as_strategy(generation_mode=mode))
        def send(case: Case) -> None:
            self.judge(case, case.call(session=self.session, timeout=20))

        # Nothing can be wrong about a request without parameters.
        with suppress(Unsatisfiable):
            send()

    def _faults(self, case: Case, response: Response) -> Iterator[str]:
        if response.status_code >= 500:
            yield f"a server error: {response.text[:300]}"
        if response.status_code >= 400:
            yield from problem_faults(response)
        if response.status_code in BEFORE_ROUTING:
            return
        for check in (status_code_conformance, response_schema_conformance):
            try:
                case.validate_response(response, checks=[check])
            except AssertionError as error:
                yield str(error)
            except BaseExceptionGroup as group:
                yield str(group.exceptions[0])


def problem_faults(response: Response) -> Iterator[str]:
    """Give what is wrong with the document of a refused request."""
    kinds = response.headers.get("content-type", [""])
    if PROBLEM not in str(kinds):
        yield f"no problem document but {kinds}: {response.text[:200]}"
    elif not json.loads(response.content).get("detail"):
        yield f"a problem without a detail: {response.text[:200]}"


def quick(examples: int, **more: Any) -> settings:
    """Return settings that only generate: a failure is kept as it is."""
    phases, checks = [Phase.generate], list(HealthCheck)
    return settings(
        max_examples=max(examples, 1), phases=phases, deadline=None, database=None, suppress_health_check=checks, **more
    )


def _shown(case: Case) -> str:
    return str(case.as_curl_command())[:1_000]
