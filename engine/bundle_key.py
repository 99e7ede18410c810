"""BundleKey: the private key that signs bundles."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from nacl.signing import SigningKey

from engine.bundle_signature import PREFIX, BundleSignature
from engine.errors import ConfigError

HEX_DIGITS = 64
OTHERS = stat.S_IRWXG | stat.S_IRWXO


class BundleKey:
    """An Ed25519 key; its file holds 64 hex digits and must be readable by its owner alone."""

    def __init__(self, key: SigningKey) -> None:
        self._key = key

    @classmethod
    def generate(cls) -> BundleKey:
        """Return a new key."""
        return cls(SigningKey.generate())

    @classmethod
    def read(cls, path: Path) -> BundleKey:
        """Read a key file; raises ConfigError that never shows what is in it."""
        try:
            mode = path.stat().st_mode
            if not stat.S_ISREG(mode) or mode & OTHERS:
                raise ConfigError(f"{path} must be a file that only its owner may read; chmod 600 it")
            with path.open("rb") as file:
                return cls(SigningKey(bytes.fromhex(file.read(HEX_DIGITS + 2).decode("ascii").strip())))
        except OSError as error:
            raise ConfigError(f"{path} cannot be read ({error.strerror}); name a key file") from error
        except ValueError:
            # Without the cause, whose message may quote the file.
            raise ConfigError(f"{path} is no key; make one with `liverec bundle keygen`") from None

    def write(self, path: Path) -> None:
        """Write the key to a new file with mode 0600; raises ConfigError if there is one of that name."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise ConfigError(f"{path} cannot be written ({error.strerror}); choose another name") from error
        with os.fdopen(descriptor, "wb") as file:
            file.write(bytes(self._key).hex().encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    @property
    def public_key(self) -> str:
        """64 hex digits, for LIVEREC_BUNDLE_PUBLIC_KEYS."""
        return bytes(self._key.verify_key).hex()

    def sign(self, manifest: bytes) -> BundleSignature:
        """Sign the bytes of a manifest."""
        return BundleSignature(self.public_key, self._key.sign(PREFIX + manifest).signature.hex())
