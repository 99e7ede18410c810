"""StoreFailure: what went wrong with the store, in a word for the metrics and a sentence for people."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from engine.errors import StoreError

PLACE = re.compile(r"connecting to \S*[^\s.,;]")
"""Where the client library wanted to connect: of a password that is not encoded, a part would be in it."""
AWAY = (RedisConnectionError, RedisTimeoutError, OSError)
"""What a store raises that does not answer, or cannot yet."""


@dataclass(frozen=True, slots=True)
class StoreFailure:
    """`cause` is for the metrics, `remedy` for people; a store that only `refuses_writes` still answers."""

    cause: str
    remedy: str
    refuses_writes: bool = False

    @classmethod
    def of(cls, error: BaseException) -> StoreFailure:
        """Return what an error of the client library means."""
        for kind, failure in KINDS:
            if isinstance(error, kind):
                return failure
        # The client library has no class for this one, and puts the command before it.
        return DISK if "MISCONF" in str(error) else OTHER


DISK = StoreFailure("disk", "it cannot write to its disk; its log says why", refuses_writes=True)
OTHER = StoreFailure("other", "its log may say more")
KINDS: tuple[tuple[type[BaseException], StoreFailure], ...] = (
    (BusyLoadingError, StoreFailure("loading", "it is reading its files and will be there when that is done")),
    (AuthenticationError, StoreFailure("permission", "check user and password in REDIS_URL")),
    (NoPermissionError, StoreFailure("permission", "give the user in REDIS_URL the right to use it")),
    (
        ReadOnlyError,
        StoreFailure("read_only", "it is a replica; REDIS_URL must lead to the primary", refuses_writes=True),
    ),
    (
        OutOfMemoryError,
        StoreFailure("out_of_memory", "set its maxmemory higher, or delete items and users", refuses_writes=True),
    ),
    (RedisTimeoutError, StoreFailure("timeout", "check that it runs and REDIS_URL")),
    (TimeoutError, StoreFailure("timeout", "check that it runs and REDIS_URL")),
    (RedisConnectionError, StoreFailure("connection", "check that it runs and REDIS_URL")),
    (OSError, StoreFailure("connection", "check that it runs and REDIS_URL")),
)


def store_error(error: BaseException) -> StoreError:
    """Return what is raised in the place of an error of the client library."""
    remedy, said = StoreFailure.of(error).remedy, PLACE.sub("connecting", str(error))
    return StoreError(f"the store cannot be used ({type(error).__name__}: {said}); {remedy}")


@contextmanager
def reported() -> Iterator[None]:
    """Raise what the client library raises as StoreError."""
    try:
        yield
    except (RedisError, OSError) as error:
        raise store_error(error) from error
