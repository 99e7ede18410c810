"""Doors: what decides who comes in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Self

from fastapi import APIRouter

from app.access import ScopeTable
from app.api_keys import ApiKeys
from app.metrics import Metrics
from app.rate_limits import RateLimits
from app.settings import Settings
from app.timed_route import declared_routes


@dataclass(frozen=True, slots=True)
class Doors:
    """What decides who comes in, and counts it: made with the app, of use once its store is there."""

    metrics: Metrics
    limits: RateLimits
    table: ScopeTable
    keys: ApiKeys | None

    @classmethod
    def of(cls, settings: Settings, routers: Iterable[APIRouter]) -> Self:
        """Raises ConfigError if the file of keys cannot be used."""
        metrics = Metrics()
        keys = None if settings.keys is None else ApiKeys(settings.keys, settings.tenants, metrics)
        return cls(metrics, RateLimits(metrics), ScopeTable(declared_routes(routers)), keys)

    @asynccontextmanager
    async def kept_up_to_date(self) -> AsyncIterator[None]:
        """Take over what becomes of the keys, as long as this lasts."""
        task = None if self.keys is None else asyncio.create_task(self.keys.follow())
        try:
            yield
        finally:
            if task is not None:
                task.cancel()
