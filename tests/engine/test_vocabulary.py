"""Ids and indices correspond, and a digest tells two vocabularies apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import BundleError
from engine.vocabulary import UNKNOWN, Vocabulary

IDS = st.lists(st.text(min_size=1, max_size=20), unique=True, max_size=20)


@given(ids=IDS)
def test_it_survives_encoding(ids: list[str]) -> None:
    vocabulary = Vocabulary(ids)
    again = Vocabulary.from_json(vocabulary.to_json())
    assert again.ids() == tuple(ids)
    assert again.digest() == vocabulary.digest()
    assert again.indices_of(ids).tolist() == list(range(len(ids)))
    assert [again.id_of(index) for index in range(len(again))] == ids
    assert again.padding_index == len(ids)


def test_order_changes_the_digest() -> None:
    assert Vocabulary(["a", "b"]).digest() != Vocabulary(["b", "a"]).digest()
    assert Vocabulary(["a,b"]).digest() != Vocabulary(["a", "b"]).digest()


def test_an_unknown_id_is_minus_one() -> None:
    assert Vocabulary(["a"]).index_of("b") == UNKNOWN == -1
    assert Vocabulary(["a"]).indices_of(["b", "a"]).tolist() == [-1, 0]


def test_an_id_may_not_stand_twice() -> None:
    with pytest.raises(BundleError, match="1 ids twice"):
        Vocabulary(["a", "a"])


@pytest.mark.parametrize("encoded", [b'{"a": 1}', b"[1, 2]", b'"text"'])
def test_anything_else_is_refused(encoded: bytes) -> None:
    with pytest.raises(BundleError, match="list of strings"):
        Vocabulary.from_json(encoded)
