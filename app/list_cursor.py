"""ListCursor: what the pages before have shown, signed, in the client's keeping."""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Iterable
from dataclasses import dataclass

from app.cursor_text import foreign, spelled, unspelled
from engine.errors import QueryError
from engine.vocabulary import hash_of

MOST_SHOWN = 1_000
LIFE_SECONDS = 3_600
SIGNATURE_BYTES = 16
HEAD = struct.Struct(">BI8s")
FORMAT = 1


@dataclass(frozen=True, slots=True)
class ListCursor:
    """Hashes of the items that were shown, until when (unix seconds) it is good, and what list it is of.

    It holds all that the next page must know, so that the service keeps nothing: it is good at any worker, after a
    restart and with another bundle.
    """

    shown: tuple[int, ...]
    expires: int
    digest: bytes

    def encode(self, key: bytes) -> str:
        """Return the cursor as a client gets it."""
        head = HEAD.pack(FORMAT, self.expires, self.digest)
        content = head + struct.pack(f">{len(self.shown)}I", *self.shown)
        return spelled(content + _signature(key, content))

    def after(self, item_ids: Iterable[str], now: float, life: int = LIFE_SECONDS) -> ListCursor | None:
        """Return the cursor of the next page, good for `life` seconds; None if it would have to remember too much."""
        shown = (*self.shown, *map(hash_of, item_ids))
        if len(shown) > MOST_SHOWN:
            return None
        return ListCursor(shown, int(now) + life, self.digest)

    @classmethod
    def begin(cls, digest: bytes) -> ListCursor:
        """Return the cursor of a first page."""
        return cls((), 0, digest)

    @classmethod
    def decode(cls, text: str, key: bytes, digest: bytes, now: float) -> ListCursor:
        """Read what `encode` gave for the same list; raises QueryError for anything else."""
        content = _signed(text, key)
        kind, expires, owner = HEAD.unpack_from(content)
        if kind != FORMAT:
            raise foreign(text)
        if owner != digest:
            raise QueryError("cursor: it belongs to another user or other options; begin without one")
        if expires < now:
            raise QueryError("cursor: its time is over; begin without one")
        rest = content[HEAD.size :]
        return cls(struct.unpack(f">{len(rest) // 4}I", rest), expires, owner)


def _signed(text: str, key: bytes) -> bytes:
    try:
        raw = unspelled(text)
    except ValueError:
        raise foreign(text) from None
    # Some letters end in bits that mean nothing: one cursor has one spelling.
    if spelled(raw) != text:
        raise foreign(text)
    content, signature = raw[:-SIGNATURE_BYTES], raw[-SIGNATURE_BYTES:]
    # The order of the tests matters: nothing of it is believed before the signature is.
    if not hmac.compare_digest(signature, _signature(key, content)) or len(content) < HEAD.size:
        raise foreign(text)
    return content


def _signature(key: bytes, content: bytes) -> bytes:
    return hashlib.blake2b(content, key=key, digest_size=SIGNATURE_BYTES).digest()
