"""ApiKeys: who may do what, read from a file that may change at any time."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import os
import re
import time
import tomllib
from collections import Counter
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from math import inf
from pathlib import Path
from typing import Annotated, Any, Self

from limits import RateLimitItem, RateLimitItemPerHour, RateLimitItemPerMinute, RateLimitItemPerSecond
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from app.failure_log import log_failure
from app.metrics import Metrics
from engine.errors import ConfigError

KEY_TEXT = re.compile(rb"liverec_([a-z0-9]{8,32})_([A-Za-z0-9]{40,64})")
LOOK_SECONDS = 1.0
MOST_FILE_BYTES = 1_048_576
MOST_KEYS = 1_000
MOST_RATE = 1_000_000
RATE = re.compile(r"([1-9][0-9]{0,6})/(second|minute|hour)")
UNITS: dict[str, type[RateLimitItem]] = {
    "second": RateLimitItemPerSecond,
    "minute": RateLimitItemPerMinute,
    "hour": RateLimitItemPerHour,
}
API_KEY = "liverec.key"
"""Where a request has its ApiKey, once it is known whose it is."""
Stamp = tuple[int, int, int, int]
NO_DIGEST = hashlib.sha256(b"").digest()
logger = logging.getLogger("liverec")


class Scope(StrEnum):
    """What a key may do; none of them implies another."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"
    METRICS = "metrics"


def check_rate(text: str) -> str:
    """Return a rate such as 100/second; raises ValueError for one that is none."""
    match = RATE.fullmatch(text)
    if match is None or int(match[1]) > MOST_RATE:
        raise ValueError(f"write it as 100/second, 5000/minute or 90000/hour, with up to {MOST_RATE}")
    return text


def digest_of(secret: bytes) -> bytes:
    """Return the SHA-256 of a secret.

    A plain hash is right here: a secret is 256 random bits, so nobody can try them all, and there is nothing that a
    salt or a slow hash would protect. Those are for passwords, which people choose.
    """
    return hashlib.sha256(secret).digest()


class KeyEntry(BaseModel):
    """One key as the file has it: its secret only as a hash."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    """Whose it is; metrics show it. Keys of one name, as after a rotation, share one rate."""
    id: Annotated[str, Field(pattern=r"^[a-z0-9]{8,32}$")]
    """The part of the key by which it is found."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """The hash of the other part."""
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=len(Scope))]
    """What it may do."""
    tenant: Annotated[str, Field(max_length=32)] = ""
    """In whose namespace it acts; none for the one without a name."""
    rate: Annotated[str, AfterValidator(check_rate)] | None = None
    """How many requests it may make, in all workers together."""
    expires: AwareDatetime | None = None
    """From when on it is refused."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key that may be used. `expires` in unix seconds."""

    name: str
    digest: bytes
    scopes: frozenset[Scope]
    tenant: str
    limit: RateLimitItem | None
    expires: float

    @classmethod
    def of(cls, entry: KeyEntry) -> Self:
        """Return what an entry of the file says."""
        limit = None
        if entry.rate is not None:
            amount, unit = entry.rate.split("/")
            limit = UNITS[unit](int(amount))
        expires = inf if entry.expires is None else entry.expires.timestamp()
        return cls(entry.name, bytes.fromhex(entry.sha256), frozenset(entry.scopes), entry.tenant, limit, expires)


class KeyFile:
    """A TOML file with a table [[keys]] for each key. Its errors repeat nothing of what it holds."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def stamp(self) -> Stamp:
        """Return what differs once the file was changed or replaced; raises ConfigError if there is none."""
        try:
            status = self.path.stat()
        except OSError as error:
            raise self._unreadable(error) from None
        return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino

    def text(self) -> str:
        """Return the file's text; raises ConfigError."""
        try:
            with self.path.open("rb") as file:
                content = file.read(MOST_FILE_BYTES + 1)
            if len(content) > MOST_FILE_BYTES:
                raise self._unusable(f"has more than {MOST_FILE_BYTES} bytes")
            return content.decode()
        except OSError as error:
            raise self._unreadable(error) from None
        except UnicodeDecodeError:
            raise self._unusable("is no UTF-8") from None

    def entries(self) -> list[KeyEntry]:
        """Return the keys; raises ConfigError naming what is wrong, without its value."""
        return self.entries_of(self.text())

    def entries_of(self, text: str) -> list[KeyEntry]:
        """Return the keys in a text of the file; raises ConfigError as `entries` does."""
        document = self._parsed(text)
        found = document.pop("keys", [])
        if document or not isinstance(found, list) or len(found) > MOST_KEYS:
            raise self._unusable(f"must have tables [[keys]], {MOST_KEYS} at most, and nothing else")
        entries = [self._entry(place, each) for place, each in enumerate(found, start=1)]
        if any(count > 1 for count in Counter(entry.id for entry in entries).values()):
            raise self._unusable("has two keys with the same id; make another one with `liverec keys add`")
        return entries

    def keys(self, tenants: Collection[str]) -> dict[bytes, ApiKey]:
        """Return the keys by their ids; raises ConfigError, for a tenant too that the service does not have."""
        entries = self.entries()
        if unknown := [entry.name for entry in entries if entry.tenant and entry.tenant not in tenants]:
            raise self._unusable(
                f"has a key ({unknown[0]}) of a tenant that LIVEREC_TENANTS does not name; add it there"
            )
        return {entry.id.encode(): ApiKey.of(entry) for entry in entries}

    def legible(self, text: str) -> dict[str, KeyEntry | None]:
        """Return the keys by their ids, None for each that is wrong, of a file that may be broken elsewhere.

        Raises ConfigError if it cannot be parsed.
        """
        found = self._parsed(text).get("keys", [])
        if not isinstance(found, list):
            raise self._unusable("must have tables [[keys]]")
        ids = Counter(each["id"] for each in found if isinstance(each, dict) and isinstance(each.get("id"), str))
        right: dict[str, KeyEntry | None] = dict.fromkeys(ids)
        for each in found:
            with suppress(ValidationError):
                entry = KeyEntry.model_validate(each)
                right[entry.id] = entry if ids[entry.id] == 1 else None
        return right

    def _parsed(self, text: str) -> dict[str, Any]:
        try:
            return tomllib.loads(text)
        except (tomllib.TOMLDecodeError, RecursionError):
            raise self._unusable("is no TOML") from None

    def _entry(self, place: int, given: object) -> KeyEntry:
        try:
            return KeyEntry.model_validate(given)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            # What the file calls a field may be anything, a secret too.
            field = next((str(part) for part in first["loc"] if part in KeyEntry.model_fields), "a field")
            raise self._unusable(f"is wrong in its key number {place}: {field}: {first['msg']}") from None

    def _unreadable(self, error: OSError) -> ConfigError:
        remedy = "make one with `liverec keys add`, or unset LIVEREC_KEYS"
        if isinstance(error, PermissionError):
            remedy = f"make it readable for the user {os.geteuid()}, who runs liverec, with chown or chmod"
        return self._unusable(f"cannot be read ({error.strerror}); {remedy}")

    def _unusable(self, why: str) -> ConfigError:
        return ConfigError(f"LIVEREC_KEYS: {self.path} {why}")


class ApiKeys:
    """The keys that are good now. `follow` takes over what becomes of the file; a broken one only takes keys away."""

    def __init__(self, path: Path, tenants: Collection[str], metrics: Metrics) -> None:
        """Raises ConfigError if the file cannot be used."""
        self._file = KeyFile(path)
        self._tenants = tenants
        self._metrics = metrics
        self._stamp: Stamp | None = self._file.stamp()
        self._unreadable = ""
        self._keys: Mapping[bytes, ApiKey] = self._known(self._file.entries())

    def find(self, text: bytes) -> ApiKey | None:
        """Return the key of that text, None if it is none or its time is over."""
        match = KEY_TEXT.fullmatch(text)
        if match is None:
            return None
        key = self._keys.get(match[1])
        # An id that nobody has takes as long as one that somebody has.
        is_right = hmac.compare_digest(digest_of(match[2]), NO_DIGEST if key is None else key.digest)
        return key if is_right and key is not None and time.time() < key.expires else None

    async def follow(self) -> None:
        """Look at the file every second, for ever."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await asyncio.to_thread(self.refresh)
            except Exception as error:  # noqa: BLE001 (it is logged; a worker that looked no more would let revoked keys in)
                log_failure("the file of keys could not be looked at; trying again", error)

    def refresh(self) -> None:
        """Take the file over if it has changed; one that cannot be read is tried again each time."""
        try:
            stamp = self._file.stamp()
            if stamp == self._stamp:
                return
            text = self._file.text()
        except ConfigError as error:
            self._stamp = None
            if str(error) != self._unreadable:
                self._unreadable = str(error)
                self._report(error)
            return
        self._stamp, self._unreadable = stamp, ""
        self._take_over(text)

    def _take_over(self, text: str) -> None:
        try:
            self._keys = self._known(self._file.entries_of(text))
        except ConfigError as error:
            self._report(error)
            self._narrow(text)
        else:
            logger.info("the keys have changed: %d now", len(self._keys))

    def _known(self, entries: Collection[KeyEntry]) -> dict[bytes, ApiKey]:
        """Return the keys but those of tenants that the service does not have: they must not hold up the others."""
        good = [entry for entry in entries if self._is_known(entry)]
        stray = [entry.name for entry in entries if not self._is_known(entry)]
        self._metrics.stray_keys.set(len(stray))
        if stray:
            logger.warning("%d keys are of tenants that LIVEREC_TENANTS does not name, as %s is", len(stray), stray[0])
        return {entry.id.encode(): ApiKey.of(entry) for entry in good}

    def _narrow(self, text: str) -> None:
        """Drop the keys that are no longer in a broken file, and take over what of the others is right; add none.

        In which nothing is right, nothing counts as dropped.
        """
        try:
            found = self._file.legible(text)
        except ConfigError:
            return
        if not any(found.values()):
            return
        kept = dict[bytes, ApiKey]()
        for key_id, key in self._keys.items():
            entry = found.get(key_id.decode())
            if entry is None and key_id.decode() in found:
                kept[key_id] = key
            elif entry is not None and self._is_known(entry):
                kept[key_id] = ApiKey.of(entry)
        logger.warning("%d keys are left of %d", len(kept), len(self._keys))
        self._keys = kept

    def _is_known(self, entry: KeyEntry) -> bool:
        return not entry.tenant or entry.tenant in self._tenants

    def _report(self, error: ConfigError) -> None:
        self._metrics.key_file_failures.inc()
        # Its text has nothing of what the file holds.
        logger.error("the keys stay as they were, but for those that are gone: %s", error)
