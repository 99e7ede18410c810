"""ListCursor: what was encoded is read again, and nothing else is."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import list_cursor
from app.list_cursor import LIFE_SECONDS, MOST_SHOWN, ListCursor, hash_of
from app.options import MAX_CURSOR_CHARACTERS
from engine.errors import QueryError

KEY, DIGEST = b"k" * 16, b"digest 8"
HASHES = st.lists(st.integers(0, 2**32 - 1), max_size=30)
SECONDS = st.integers(0, 2**32 - 1)


def encoded(shown: list[int], expires: int = 2**32 - 1, key: bytes = KEY, digest: bytes = DIGEST) -> str:
    return ListCursor(tuple(shown), expires, digest).encode(key)


@given(HASHES, SECONDS, st.binary(min_size=8, max_size=8), st.binary(min_size=1, max_size=64))
def test_a_round_trip(shown: list[int], expires: int, digest: bytes, key: bytes) -> None:
    cursor = ListCursor(tuple(shown), expires, digest)
    assert ListCursor.decode(cursor.encode(key), key, digest, expires) == cursor


@given(
    st.text() | st.text("ABCDefgh0123-_=+/ \n") | st.binary().map(lambda raw: base64.urlsafe_b64encode(raw).decode())
)
def test_no_other_text_is_read_and_none_does_harm(text: str) -> None:
    with pytest.raises(QueryError, match=r"cursor: .*begin without one"):
        ListCursor.decode(text, KEY, DIGEST, 0.0)


@given(HASHES, st.data())
def test_every_bit_counts(shown: list[int], data: st.DataObject) -> None:
    raw = bytearray(base64.urlsafe_b64decode(encoded(shown) + "=="))
    bit = data.draw(st.integers(0, 8 * len(raw) - 1))
    raw[bit // 8] ^= 1 << bit % 8
    with pytest.raises(QueryError, match="none that this service gave"):
        ListCursor.decode(base64.urlsafe_b64encode(raw).decode().rstrip("="), KEY, DIGEST, 0.0)


@given(HASHES, st.data())
def test_every_letter_counts(shown: list[int], data: st.DataObject) -> None:
    text = encoded(shown)
    letters = st.characters() | st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/=")
    place, letter = data.draw(st.integers(0, len(text) - 1)), data.draw(letters)
    other = text[:place] + letter + text[place + 1 :]
    if other != text:
        with pytest.raises(QueryError, match="none that this service gave"):
            ListCursor.decode(other, KEY, DIGEST, 0.0)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_one_cursor_has_one_spelling(count: int) -> None:
    text, alphabet = encoded([7] * count), "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    others = [text[:-1] + letter for letter in alphabet if letter != text[-1]]
    for other in [*others, text + "=", text + "==", text.replace("_", "/").replace("-", "+") + "="]:
        with pytest.raises(QueryError, match="none that this service gave"):
            ListCursor.decode(other, KEY, DIGEST, 0.0)


def test_another_key_another_list_and_another_time() -> None:
    text = encoded([1, 2, 3], expires=1_000)
    with pytest.raises(QueryError, match="none that this service gave"):
        ListCursor.decode(text, b"another key", DIGEST, 0.0)
    with pytest.raises(QueryError, match="another user or other options"):
        ListCursor.decode(text, KEY, b"digest 9", 0.0)
    assert ListCursor.decode(text, KEY, DIGEST, 1_000.0).shown == (1, 2, 3)
    with pytest.raises(QueryError, match="its time is over"):
        ListCursor.decode(text, KEY, DIGEST, 1_000.1)


def test_another_format_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as later:
        later.setattr(list_cursor, "FORMAT", 2)
        text = encoded([1, 2])
        assert ListCursor.decode(text, KEY, DIGEST, 0.0).shown == (1, 2)
    with pytest.raises(QueryError, match="none that this service gave"):
        ListCursor.decode(text, KEY, DIGEST, 0.0)


@given(st.lists(st.text(max_size=20), max_size=20), st.lists(st.text(max_size=20), max_size=20))
def test_what_is_shown_adds_up(first: list[str], second: list[str]) -> None:
    begun = ListCursor.begin(DIGEST).after(first, 100.9)
    assert begun is not None
    following = begun.after(second, 500.0)
    assert following == ListCursor(tuple(map(hash_of, [*first, *second])), 500 + LIFE_SECONDS, DIGEST)


def test_it_ends_before_it_becomes_too_long_for_a_request() -> None:
    full = ListCursor.begin(DIGEST).after(map(str, range(MOST_SHOWN)), 2**31)
    assert full is not None
    assert len(full.encode(KEY)) <= MAX_CURSOR_CHARACTERS
    assert full.after(["one more"], 0.0) is None
    assert ListCursor.begin(DIGEST).after(map(str, range(MOST_SHOWN + 1)), 0.0) is None
