"""Proven: a bundle that is whole, and has recomputed its probe."""

from __future__ import annotations

from app.settings import Settings
from engine.bundle import Bundle
from engine.errors import ConfigError
from engine.recommender import Recommender

Proven = tuple[Bundle, Recommender]


def open_proven(settings: Settings) -> Proven:
    """Open the bundle, check every byte of it, and have it recompute its probe.

    Raises BundleError, and ConfigError where the store keeps less of a history than the networks read.
    """
    bundle = Bundle.open(settings.bundle, settings.bundle_public_keys)
    if settings.history_limit < bundle.longest_read:
        raise ConfigError(
            f"LIVEREC_HISTORY_LIMIT is {settings.history_limit}, and the networks of {settings.bundle} read"
            f" {bundle.longest_read} events of a history; set it to at least {bundle.longest_read}"
        )
    recommender = bundle.recommender()
    bundle.probe.check(recommender)
    return bundle, recommender
