"""Three real workers against the specification in memory; benchmarks/specification.py does the same for longer."""

from __future__ import annotations

from pathlib import Path

from specification_machine import LIMIT, STEPS, WORKERS
from specification_run import run

RUNS = 6


def test_the_service_equals_its_specification(start, steered_bundle: Path, url: str, tmp_path: Path) -> None:
    more = {"LIVEREC_VAR": str(tmp_path), "LIVEREC_HISTORY_LIMIT": str(LIMIT)}
    service = start(workers=WORKERS, redis_url=url, bundle=steered_bundle, **more)
    done = run(str(service.http.base_url), steered_bundle, RUNS, number=3)
    service.stop()
    assert done["runs of all steps"] >= RUNS - 1
    assert done["steps"] >= (RUNS - 1) * STEPS
