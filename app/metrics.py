"""Metrics: counters and times in Prometheus' form."""

from __future__ import annotations

import os

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


class Metrics:
    """The metrics of one worker; with several workers they share files and each tells the sum."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.answers = Counter(
            "liverec_answers",
            "Answers by the stage that gave them, whether they were cached, and why they were degraded",
            ("source", "cache", "degraded"),
            registry=self._registry,
        )
        self.events = Counter("liverec_events", "Events by what became of them", ("outcome",), registry=self._registry)
        self.seconds = Histogram(
            "liverec_seconds", "Seconds to answer", ("call",), buckets=SECONDS, registry=self._registry
        )

    def render(self) -> bytes:
        """Return the text that Prometheus scrapes."""
        if FOLDER_VARIABLE not in os.environ:
            return generate_latest(self._registry)
        shared = CollectorRegistry()
        MultiProcessCollector(shared)  # type: ignore[no-untyped-call]
        return generate_latest(shared)
