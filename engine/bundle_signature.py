"""BundleSignature: who vouches for a bundle."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated

from nacl.exceptions import CryptoError
from nacl.signing import VerifyKey
from pydantic import StringConstraints

from engine.errors import BundleError

PREFIX = b"liverec bundle manifest, version 1\n"
"""What is signed begins with it, so that no signature made for something else ever counts here."""
SPELLING = re.compile(rb"ed25519 ([0-9a-f]{64}) ([0-9a-f]{128})\n")
MOST_SIGNATURE_BYTES = 256
PublicKey = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]


@dataclass(frozen=True, slots=True)
class BundleSignature:
    """An Ed25519 signature of a manifest, and with it of all files, whose digests the manifest has. Both are hex."""

    public_key: str
    signature: str

    @classmethod
    def decode(cls, encoded: bytes) -> BundleSignature:
        """Decode what `encode` wrote; raises BundleError on anything else."""
        if (match := SPELLING.fullmatch(encoded)) is None:
            raise BundleError("it is no signature; sign the bundle again with `liverec bundle sign`")
        return cls(match[1].decode(), match[2].decode())

    def encode(self) -> bytes:
        """Return the file that stands beside the manifest."""
        return f"ed25519 {self.public_key} {self.signature}\n".encode()

    def check(self, manifest: bytes, public_keys: Collection[str]) -> None:
        """Raise BundleError unless this signs the manifest, with one of the keys if there are any."""
        if public_keys and self.public_key not in public_keys:
            raise BundleError(f"it is by {self.public_key}, none of the trusted keys; sign the bundle with one of them")
        try:
            VerifyKey(bytes.fromhex(self.public_key)).verify(PREFIX + manifest, bytes.fromhex(self.signature))
        except CryptoError as error:
            raise BundleError(
                "it does not fit the manifest; sign the bundle again, once its files are right"
            ) from error
