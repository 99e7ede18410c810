"""What no honest client sends: bytes for a socket, made from a seed."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass

SMUGGLED = "smuggled"
"""The user whom no honest request names: a rating of theirs was read out of a body."""


@dataclass(frozen=True)
class Hostile:
    """Pieces that are sent one after the other with a pause, and what must be answered, if that is sure.

    statuses: of all answers in their order. is_cut: the connection is reset once all is sent.
    """

    kind: str
    pieces: tuple[bytes, ...]
    statuses: tuple[int, ...] | None = None
    pause: float = 0.0
    is_cut: bool = False


def rating(user_id: str, head: bytes = b"") -> bytes:
    body = json.dumps({"user_id": user_id, "item_id": "item 1", "rating": 4}).encode()
    return b"POST /rate HTTP/1.1\r\nHost: a\r\n%sContent-Length: %d\r\n\r\n%s" % (head, len(body), body)


def get(path: bytes = b"/recommend/u?n=3", headers: bytes = b"") -> bytes:
    return b"GET %s HTTP/1.1\r\nHost: a\r\n%s\r\n" % (path, headers)


def noise(chance: random.Random) -> Hostile:
    return Hostile("noise", (chance.randbytes(chance.randint(1, 2_000)),))


def mutated(chance: random.Random) -> Hostile:
    request = bytearray(chance.choice([get(), rating("mutated"), get(b"/items?n=2"), get(b"/health/ready")]))
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(request))
        request[at : at + chance.choice([0, 1, 1, 5])] = chance.randbytes(chance.choice([0, 1, 1, 3]))
    return Hostile("mutated", (bytes(request),))


def request_line(chance: random.Random) -> Hostile:
    method = chance.choice([b"GET", b"get", b"G\x00T", b"", b"BREW", b"GET" * 50, b"OPTIONS", b"TRACE", b"CONNECT"])
    path = chance.choice([b"/", b"", b"*", b"http://", b"http://[::1", b"a:1", b"?x", b"/ x", b"//", b"/../..", b"/\t"])
    version = chance.choice([b"HTTP/1.1", b"HTTP/9.9", b"HTTP/1", b"", b"http/1.1", b"HTTP/1.1 x", b"HTTP/2.0"])
    ending = chance.choice([b"\r\n\r\n", b"\n\n", b"\r\r", b"\r\n \r\n\r\n"])
    return Hostile("request line", (b" ".join([method, path, version]) + ending,))


def too_much(chance: random.Random) -> Hostile:
    size = chance.randint(33_000, 400_000)
    request, status = chance.choice(
        [
            (get(headers=b"X-Long: " + b"x" * size + b"\r\n"), 431),
            (get(headers=b"".join(b"X-%d: y\r\n" % number for number in range(150))), 431),
            (get(headers=b"x" * size + b": y\r\n"), 431),
            (get(b"/recommend/" + b"u" * (size + 33_000)), 414),
        ]
    )
    cut = chance.randint(1, len(request))
    return Hostile("too much", (request[:cut], request[cut:]), (status,))


def chunks(chance: random.Random) -> Hostile:
    head = b"POST /rate HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    body = chance.choice(
        [
            b"zz\r\nabc\r\n0\r\n\r\n",
            b"-1\r\nabc\r\n",
            b"ffffffffffffffffff\r\nabc",
            b"3\r\nabcdef\r\n0\r\n\r\n",
            b"3;" + b"e" * chance.randint(1, 90_000) + b"\r\nabc\r\n0\r\n\r\n",
            b"3\r\nabc\r\n0\r\n" + b"".join(b"T%d: %s\r\n" % (each, b"t" * 900) for each in range(90)) + b"\r\n",
            b"3\r\nabc\r\n0\r\nX-API-Key: stolen\r\nContent-Length: 9\r\n\r\n",
            b"3\nabc\n0\n\n",
            b"\r\n\r\n",
            b"0" * 70_000,
        ]
    )
    return Hostile("chunks", (head + body,))


def pipelined(chance: random.Random) -> Hostile:
    count = chance.randint(2, 8)
    wanted = [chance.choice([(get(), 200), (rating("piped"), 200), (get(b"/nowhere"), 404)]) for _ in range(count)]
    data, statuses = b"".join(each for each, _ in wanted), [status for _, status in wanted]
    if chance.random() < 0.5:
        data, statuses = data + b"\x00garbage\r\n\r\n", [*statuses, 400]
    cut = chance.randint(1, len(data))
    return Hostile("pipelined", (data[:cut], data[cut:]), tuple(statuses))


def truncated(chance: random.Random) -> Hostile:
    request = rating("truncated")
    return Hostile("truncated", (request[: chance.randint(1, len(request) - 1)],), (), is_cut=chance.random() < 0.5)


def encoding(chance: random.Random) -> Hostile:
    part = chance.choice([b"%ff%fe", b"\xff\xfe", b"%00", b"%", b"%zz", b"\x00", b"%c0%af", b"%ed%a0%80", b"%0d%0aX:y"])
    path = chance.choice([b"/recommend/%s", b"/items/%s", b"/users/%s/history", b"/recommend/u?cursor=%s", b"/%s"])
    return Hostile("encoding", (get(path.replace(b"%s", part)),))


def smuggled(chance: random.Random) -> Hostile:
    hidden = rating(SMUGGLED)
    length = b"Content-Length: %d\r\n" % (len(hidden) + 5)
    framing = chance.choice(
        [
            length + b"Transfer-Encoding: chunked\r\n",
            b"Transfer-Encoding: chunked\r\n" + length,
            length + b"Content-Length: 5\r\n",
            b"Content-Length: 5, %d\r\n" % len(hidden),
            b"Content-Length: +5\r\n",
            b"Content-Length: 0x5\r\n",
            b"Transfer-Encoding: xchunked\r\n",
            b"Transfer-Encoding: chunked, identity\r\n",
            b"Transfer-Encoding : chunked\r\n" + length,
            b"Transfer-Encoding: \x0bchunked\r\n" + length,
            b"X: y\r\n Transfer-Encoding: chunked\r\n" + length,
            b"X: y\rTransfer-Encoding: chunked\r\n" + length,
        ]
    )
    path = chance.choice([b"POST /rate", b"GET /recommend/u", b"DELETE /users/" + SMUGGLED.encode()])
    return Hostile("smuggled", (b"%s HTTP/1.1\r\nHost: a\r\n%s\r\n0\r\n\r\n%s" % (path, framing, hidden),), (400,))


def upgrade(chance: random.Random) -> Hostile:
    websocket = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n"
    request = chance.choice(
        [
            get(headers=b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"),
            get(headers=websocket),
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n\x16\x03\x01",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        ]
    )
    return Hostile("upgrade", (request + chance.choice([b"", b"garbage", get()]),))


def bodies(chance: random.Random) -> Hostile:
    body = chance.choice(
        [
            b"\xff\xfe\x00",
            b"[" * chance.randint(1, 50_000),
            b'{"user_id":"\\ud800","item_id":"item 1","rating":3}',
            b'{"user_id":"u","item_id":"item 1","rating":NaN}',
            b'{"user_id":"u","item_id":"item 1","rating":1e999}',
            b'{"user_id":"u","item_id":"item 1","rating":' + b"9" * 5_000 + b"}",
            b'{"a":1,' * 1_000,
            b"\x00" * 1_000,
            b"",
        ]
    )
    path = chance.choice([b"/rate", b"/feedback", b"/recommend/batch", b"/session/recommend", b"/rank", b"/items"])
    head = b"POST %s HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return Hostile("bodies", (head % (path, len(body)) + body,))


def slow(chance: random.Random) -> Hostile:
    request = chance.choice([get(), rating("slow"), b"\r\n" * 40])
    step = max(len(request) // 40, 1)
    pieces = tuple(request[start : start + step] for start in range(0, len(request), step))
    return Hostile("slow", pieces, () if request[:1] == b"\r" else (408,), pause=0.25)


KINDS: tuple[Callable[[random.Random], Hostile], ...] = (
    noise,
    mutated,
    request_line,
    too_much,
    chunks,
    pipelined,
    truncated,
    encoding,
    smuggled,
    upgrade,
    bodies,
)


def hostile(chance: random.Random) -> Hostile:
    """Return one case; a slow one is rare, for it takes seconds."""
    return slow(chance) if chance.random() < 0.005 else chance.choice(KINDS)(chance)
