"""A short run of requests made from the OpenAPI; benchmarks/fuzz.py makes many more."""

from __future__ import annotations

from pathlib import Path

from fuzzing import LINKS, Fuzzing


def test_no_answer_is_at_fault(start, steered_bundle: Path, url: str) -> None:
    # A service of its own: the cases add, hide and delete items.
    service = start(redis_url=url, bundle=steered_bundle)
    fuzzing = Fuzzing(str(service.http.base_url).rstrip("/"))
    fuzzing.send_each(4)
    fuzzing.send_chains(6, 8)
    assert fuzzing.failures == {}
    assert fuzzing.cases > 100
    assert fuzzing.operations.keys() >= {f"{method.upper()} {path}" for method, path in LINKS}
    assert fuzzing.statuses.keys() <= {"200", "404", "409", "413", "415", "422", "414"}
    assert fuzzing.statuses["200"] > 30
