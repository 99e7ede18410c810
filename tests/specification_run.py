"""Runs of the specification's machine against a service."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test
from specification_machine import STEPS, WORKERS, Machine
from specified_answers import Answers


def run(base_url: str, bundle: Path, runs: int, number: int) -> Counter[str]:
    """Run the machine against a service of the bundle; returns what was done, raises at the first difference."""
    Machine.done.clear()
    Machine.base_url, Machine.answers = base_url, Answers(bundle)
    with ThreadPoolExecutor(WORKERS) as Machine.pool:
        chosen = settings(
            max_examples=runs,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        run_state_machine_as_test(seed(number)(Machine), settings=chosen, _min_steps=STEPS)
    return Counter(Machine.done)
