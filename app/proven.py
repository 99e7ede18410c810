"""Proven: a bundle that is whole, and has recomputed its probe."""

from __future__ import annotations

from collections.abc import Mapping

from app.settings import Settings
from engine.bundle import Bundle
from engine.bundle_proof import prove_apart
from engine.errors import BundleError, ConfigError
from engine.recommender import Recommender
from engine.voucher import Voucher

Proven = tuple[Bundle, Recommender]
Vouchers = Mapping[str, Voucher | None]
NO_VOUCHERS: Vouchers = {}


def open_proven_apart(settings: Settings) -> Proven:
    """Have a process of its own try the bundle, which may end it, and only then open it here."""
    version = prove_apart(settings.bundle, settings.bundle_public_keys)
    # On one core, since requests are answered meanwhile.
    proven = open_proven(settings, threads=1)
    if proven[0].model_version != version:
        raise BundleError(f"{settings.bundle} was replaced while it was proven; it is looked at again")
    return proven


def open_proven(settings: Settings, voucher: Voucher | None = None, threads: int | None = None) -> Proven:
    """Open the bundle, check every byte of it, and have it recompute its probe.

    What the parent process vouches for is not read again; digests take so many threads, all cores if None is said.
    Raises BundleError, and ConfigError where the store keeps less of a history than the networks read.
    """
    bundle = Bundle.open(settings.bundle, settings.bundle_public_keys, voucher, threads)
    if settings.history_limit < bundle.longest_read:
        raise ConfigError(
            f"LIVEREC_HISTORY_LIMIT is {settings.history_limit}, and the networks of {settings.bundle} read"
            f" {bundle.longest_read} events of a history; set it to at least {bundle.longest_read}"
        )
    recommender = bundle.recommender()
    bundle.probe.check(recommender)
    return bundle, recommender
