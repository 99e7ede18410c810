"""Metrics: counters and times in Prometheus' form."""

from __future__ import annotations

import os

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from app.store_breaker import StoreBreaker

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
        self.key_requests = Counter(
            "liverec_key_requests",
            "Requests by the name of their key, and whether they were let in",
            ("key", "outcome"),
            registry=self._registry,
        )
        self.key_file_failures = Counter(
            "liverec_key_file_failures",
            "Changes of the file of keys that could not be taken over",
            registry=self._registry,
        )
        self.stray_keys = Gauge(
            "liverec_stray_keys",
            "Keys of tenants that the service does not have; they let nobody in",
            registry=self._registry,
            multiprocess_mode="livemax",
        )
        self.limited_alone = Counter(
            "liverec_limited_alone",
            "Requests that a worker counted for itself, since the store that counts for all was away",
            registry=self._registry,
        )
        self.items = Counter(
            "liverec_items", "Items that were added, changed or deleted here", ("call",), registry=self._registry
        )
        self.item_lag = Gauge(
            "liverec_item_lag",
            "Changes of items that are in the store and not yet in the slowest worker",
            ("tenant",),
            registry=self._registry,
            multiprocess_mode="livemax",
        )
        self.item_dead_rows = Gauge(
            "liverec_item_dead_rows",
            "Rows that changed and deleted items have left behind in the worker with the most of them",
            ("tenant",),
            registry=self._registry,
            multiprocess_mode="livemax",
        )
        self.item_tail_failures = Counter(
            "liverec_item_tail_failures", "Failures to follow the items, by cause", ("cause",), registry=self._registry
        )
        self.exposures = Counter(
            "liverec_exposures",
            "Explored placements by what became of their log",
            ("outcome",),
            registry=self._registry,
        )
        self.trend_events = Counter(
            "liverec_trend_events",
            "Events that count for what is trending, by whether they could be counted",
            ("outcome",),
            registry=self._registry,
        )
        self.unarchived_events = Gauge(
            "liverec_unarchived_events",
            "Events in the store's log that are not archived yet, when the store was last asked",
            registry=self._registry,
            multiprocess_mode="mostrecent",
        )
        self.refused = Counter(
            "liverec_refused",
            "Requests and connections that were refused before the service saw them",
            ("status",),
            registry=self._registry,
        )
        self.bundle_swaps = Counter(
            "liverec_bundle_swaps",
            "Other bundles that were found while serving, by what became of them",
            ("outcome",),
            registry=self._registry,
        )
        self.store_away = Gauge(
            "liverec_store_away",
            "Workers for which the store is away, so that they ask it nothing",
            registry=self._registry,
            multiprocess_mode="livesum",
        )
        self.store_openings = Counter(
            "liverec_store_openings", "How often a worker found the store away", registry=self._registry
        )
        self.store_failures = Counter(
            "liverec_store_failures", "Calls of the store that failed, by cause", ("cause",), registry=self._registry
        )
        self.seconds = Histogram(
            "liverec_seconds", "Seconds to answer", ("call",), buckets=SECONDS, registry=self._registry
        )

    def follow(self, breaker: StoreBreaker) -> None:
        """Tell from now on what becomes of the store."""
        breaker.on_failure = lambda cause: self.store_failures.labels(cause).inc()
        breaker.on_change.append(self._tell_store)

    def _tell_store(self, is_away: bool) -> None:
        self.store_away.set(is_away)
        self.store_openings.inc(is_away)

    def render(self) -> bytes:
        """Return the text that Prometheus scrapes."""
        if FOLDER_VARIABLE not in os.environ:
            return generate_latest(self._registry)
        shared = CollectorRegistry()
        MultiProcessCollector(shared)  # type: ignore[no-untyped-call]
        return generate_latest(shared)
