"""Pseudonyms: names for users that tell nothing to those who lack the store's secret."""

from __future__ import annotations

import hashlib
import secrets
from typing import Self

from app.store_connection import StoreConnection

SECRET_KEY = "liverec:secret"  # noqa: S105  # nosec B105 # the name of a key, no secret
SECRET_BYTES = PSEUDONYM_BYTES = 16


class Pseudonyms:
    """Keyed hashes of user ids: the same in every process that uses the store, and in no other store."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    @classmethod
    async def of(cls, connection: StoreConnection) -> Self:
        """Read the store's secret; the first to come makes it."""
        return cls(await connection.settled(SECRET_KEY, secrets.token_bytes(SECRET_BYTES)))

    def key(self, purpose: str) -> bytes:
        """Return 16 bytes to sign something else with, which tell nothing of the secret."""
        return hashlib.blake2b(purpose.encode(), key=self._secret, digest_size=16, person=b"key").digest()

    def of_user(self, user_id: str) -> str:
        """Return 32 hexadecimal digits."""
        return hashlib.blake2b(user_id.encode(), key=self._secret, digest_size=PSEUDONYM_BYTES).hexdigest()
