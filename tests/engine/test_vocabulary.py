"""Ids and indices correspond, whatever the ids and their hashes, and a digest tells two vocabularies apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from zlib import crc32

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import vocabulary as module
from engine.errors import BundleError
from engine.id_lookup import IdLookup, bucket_count
from engine.live_vocabulary import LiveVocabulary
from engine.packed_texts import PackedTexts
from engine.vocabulary import UNKNOWN, Vocabulary, hash_of

# 1-256 bytes of anything that can be spelled: newlines, NUL, and halves of nothing.
TEXTS = st.text(min_size=1, max_size=20) | st.text("ab\n\0\N{GRINNING FACE}é", min_size=1, max_size=64)
IDS = st.lists(TEXTS, unique=True, max_size=40)
Make = Callable[[Sequence[str]], Vocabulary]


def colliding(bits: int) -> list[str]:
    """Return 2^bits texts of one CRC-32: it is linear, so flips that cancel each other are found by elimination."""
    length, basis, kernel = 40 + bits, dict[int, tuple[int, int]](), list[int]()
    zero = crc32(b"a" * length)
    for place in range(length):
        text = bytearray(b"a" * length)
        text[place] ^= 1
        value, flips = crc32(text) ^ zero, 1 << place
        while value and (other := basis.get(value.bit_length())):
            value, flips = value ^ other[0], flips ^ other[1]
        if value:
            basis[value.bit_length()] = value, flips
        else:
            kernel.append(flips)
    texts = []
    for chosen in range(2**bits):
        flips = 0
        for place in range(bits):
            flips ^= kernel[place] if chosen >> place & 1 else 0
        texts.append("".join("`" if flips >> place & 1 else "a" for place in range(length)))
    return texts


TWINS = colliding(9)


def mapped(ids: Sequence[str]) -> Vocabulary:
    made = Vocabulary(ids)
    with TemporaryDirectory() as folder:
        content, offsets = Path(folder) / "content", Path(folder) / "offsets.npy"
        PackedTexts.write(made.texts, content, offsets)
        arrays = [np.load(offsets, mmap_mode="r"), made.lookup.starts, made.lookup.rows]
        mapped = np.memmap(content, np.uint8, "r") if ids else np.empty(0, np.uint8)
    texts = PackedTexts(mapped, arrays[0])
    texts.check(256 * 4)
    texts.check_encoding()
    lookup = IdLookup(texts, *arrays[1:])
    lookup.check()
    return Vocabulary.mapped(texts, lookup)


def live(ids: Sequence[str]) -> Vocabulary:
    return LiveVocabulary(Vocabulary(ids))


MAKES = [Vocabulary, mapped, live]


@pytest.mark.parametrize("make", MAKES)
@given(ids=IDS, others=IDS)
@settings(deadline=None)
def test_it_finds_what_a_dict_finds(make: Make, ids: list[str], others: list[str]) -> None:
    vocabulary, indices = make(ids), {item_id: index for index, item_id in enumerate(ids)}
    for _ in range(2):
        asked = [*others, *ids]
        assert vocabulary.indices_of(asked).tolist() == [indices.get(each, UNKNOWN) for each in asked]
        assert [vocabulary.index_of(each) for each in asked] == [indices.get(each, UNKNOWN) for each in asked]
        assert [each in vocabulary for each in asked] == [each in indices for each in asked]
    assert [vocabulary.id_of(index) for index in range(len(ids))] == ids
    assert (vocabulary.ids(), vocabulary.ids(1, 3)) == (tuple(ids), tuple(ids[1:3]))
    assert len(vocabulary) == vocabulary.padding_index == len(ids)


@pytest.mark.parametrize("make", MAKES)
@given(ids=IDS)
@settings(deadline=None)
def test_it_finds_by_hash(make: Make, ids: list[str]) -> None:
    vocabulary = make(ids)
    for item_id in ids:
        hashes = [hash_of(item_id)]
        assert vocabulary.ids_with(hashes) == {each for each in ids if hash_of(each) in hashes}
    assert vocabulary.ids_with(map(hash_of, ids)) == set(ids)
    assert vocabulary.ids_with([]) == frozenset()


@pytest.mark.parametrize("make", MAKES)
@given(ids=IDS, order=st.randoms())
@settings(deadline=None)
def test_equal_digests_mean_equal_indices(make: Make, ids: list[str], order) -> None:
    other = list(ids)
    order.shuffle(other)
    assert (make(ids).digest() == make(other).digest()) == (ids == other)


@pytest.mark.parametrize("make", MAKES)
def test_a_newline_within_is_no_end(make: Make) -> None:
    assert make(["a\nb"]).digest() != make(["a", "b"]).digest()
    assert make(["a\nb", "a"]).indices_of(["a", "b", "a\nb"]).tolist() == [1, UNKNOWN, 0]


@pytest.mark.parametrize("make", MAKES)
def test_ids_with_one_hash_are_told_apart(make: Make) -> None:
    assert len({hash_of(each) for each in TWINS}) == 1
    assert len(set(TWINS)) == len(TWINS) == 512
    known, unknown = ["b", *TWINS[::2], "c"], TWINS[1::2]
    vocabulary = make(known)
    assert vocabulary.indices_of(known).tolist() == list(range(len(known)))
    assert (vocabulary.indices_of(unknown) == UNKNOWN).all()
    assert vocabulary.ids_with([hash_of(unknown[0])]) == set(TWINS[::2])


@pytest.mark.parametrize("make", MAKES)
def test_a_lone_surrogate_is_unknown(make: Make) -> None:
    assert make(["a", "\N{REPLACEMENT CHARACTER}"]).index_of("\ud800") == UNKNOWN


@pytest.mark.parametrize("make", MAKES)
def test_what_is_remembered_is_bounded(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_REMEMBERED", 8)
    ids = [f"item {number}" for number in range(100)]
    vocabulary = make(ids)
    for _ in range(2):
        assert vocabulary.indices_of([*ids, "nobody's"]).tolist() == [*range(100), UNKNOWN]
        assert 0 < len(vocabulary._met) <= 8


@given(ids=IDS, more=IDS)
@settings(deadline=None)
def test_live_ids_stand_behind_the_padding_row(ids: list[str], more: list[str]) -> None:
    vocabulary, new = LiveVocabulary(Vocabulary(ids)), [each for each in more if each not in ids]
    rows = [vocabulary.append(each) for each in new]
    assert rows == [len(ids) + 1 + place for place in range(len(new))]
    assert vocabulary.indices_of(iter([*ids, *new, "nobody's " * 9])).tolist() == [*range(len(ids)), *rows, UNKNOWN]
    assert [vocabulary.id_of(row) for row in rows] == new
    assert vocabulary.ids_with(map(hash_of, new)) >= set(new)
    assert len(vocabulary) == len(ids)
    for each in new:
        vocabulary.forget(each)
    assert not any(each in vocabulary for each in new)


@given(ids=IDS)
def test_it_survives_encoding(ids: list[str]) -> None:
    again = Vocabulary.from_json(Vocabulary(ids).to_json())
    assert (again.ids(), again.digest()) == (tuple(ids), Vocabulary(ids).digest())


def test_an_id_may_not_stand_twice() -> None:
    with pytest.raises(BundleError, match="1 ids twice"):
        Vocabulary(["a", "b", "a"])
    with pytest.raises(BundleError, match="2 ids twice"):
        Vocabulary([*TWINS, *TWINS[7:9]])


@pytest.mark.parametrize("encoded", [b'{"a": 1}', b"[1, 2]", b'"text"'])
def test_anything_else_is_refused(encoded: bytes) -> None:
    with pytest.raises(BundleError, match="list of strings"):
        Vocabulary.from_json(encoded)


def lookup_with(change: Callable[[np.ndarray, np.ndarray], object], count: int = 100) -> IdLookup:
    made = Vocabulary([f"item {number}" for number in range(count)])
    starts, rows = made.lookup.starts.copy(), made.lookup.rows.copy()
    assert len(starts) == bucket_count(count) + 1
    change(starts, rows)
    return IdLookup(made.texts, starts, rows)


@pytest.mark.parametrize(
    "change",
    [
        lambda starts, rows: rows.__setitem__(3, 100),
        lambda starts, rows: rows.__setitem__(3, -1),
        lambda starts, rows: rows.__setitem__(3, rows[4]),
        lambda starts, rows: rows.__setitem__(slice(None), np.roll(rows, 1)),
        lambda starts, rows: starts.__setitem__(0, -1),
        lambda starts, rows: starts.__setitem__(-1, 101),
        lambda starts, rows: starts.__setitem__(5, 2**31 - 1),
        lambda starts, rows: starts.__setitem__(slice(1, None), 100),
    ],
)
def test_a_lookup_that_does_not_fit_is_refused(change: Callable[[np.ndarray, np.ndarray], object]) -> None:
    lookup_with(lambda starts, rows: None).check()
    with pytest.raises(BundleError, match="train again"):
        lookup_with(change).check()
