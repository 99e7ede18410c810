"""Texts come back as they were packed, and offsets that do not fit are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import packed_texts
from engine.errors import BundleError
from engine.packed_texts import PackedTexts


@given(st.lists(st.binary(max_size=30), max_size=30))
def test_texts_come_back(texts: list[bytes]) -> None:
    packed = PackedTexts.of(texts)
    packed.check(30)
    assert (len(packed), list(packed), packed[1:4]) == (len(texts), texts, texts[1:4])
    assert [packed[-place] for place in range(1, len(texts) + 1)] == texts[::-1]
    for outside in (len(texts), -len(texts) - 1):
        with pytest.raises(IndexError):
            packed[outside]


def test_a_file_is_the_same_from_whatever_it_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed_texts, "LOT", 3)
    texts = [b"one", b"", b"three\nfour", b"5"] * 4
    for name, given_texts in (("list", texts), ("packed", PackedTexts.of(texts))):
        PackedTexts.write(given_texts, tmp_path / name, tmp_path / f"{name}.npy")
        read = np.fromfile(tmp_path / name, np.uint8), np.load(tmp_path / f"{name}.npy")
        assert list(PackedTexts(*read)) == texts
    assert (tmp_path / "list").read_bytes() == b"".join(text + b"\n" for text in texts)


@pytest.mark.parametrize(
    "offsets", [[], [0], [0, 2], [1, 2, 4], [0, 5, 4], [0, -1, 4], [0, 2, 2, 4], [0, 4, 2, 4], [0, 1, 4, 2**60, 4]]
)
def test_offsets_that_do_not_fit_are_refused(offsets: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    for lot in (1, 2, 100):
        monkeypatch.setattr(packed_texts, "LOT", lot)
        with pytest.raises(BundleError):
            PackedTexts(np.frombuffer(b"a\nb\n", np.uint8), np.array(offsets, np.int64)).check(10)


def test_a_text_that_is_too_long_is_refused() -> None:
    PackedTexts.of([b"1234", b""]).check(4)
    with pytest.raises(BundleError, match="4 bytes is longer than 3"):
        PackedTexts.of([b"1234", b""]).check(3)


@pytest.mark.parametrize("lot", [1, 2, 100])
@pytest.mark.parametrize("text", [b"\xff", b"\xc3", b"\xed\xa0\x80", b"a\xc3"])
def test_what_is_no_utf_8_is_refused(text: bytes, lot: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed_texts, "LOT", lot)
    PackedTexts.of(["é".encode(), b"b"]).check_encoding()
    with pytest.raises(BundleError, match="UTF-8"):
        PackedTexts.of([b"a", text, b"b"]).check_encoding()


def test_a_character_on_both_sides_of_an_end_is_refused() -> None:
    content = np.frombuffer("é\n".encode() + b"b\n", np.uint8)
    PackedTexts(content, np.array([0, 3, 5])).check_encoding()
    for offsets in ([0, 1, 3, 5], [0, 2, 5], [0, 4, 5]):
        packed = PackedTexts(content, np.array(offsets))
        packed.check(10)
        with pytest.raises(BundleError, match=r"character|UTF-8"):
            packed.check_encoding()
