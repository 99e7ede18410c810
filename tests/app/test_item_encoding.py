"""One item whose content is damaged is named, and spoils no other."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest

from app.item_encoding import BATCH, ItemEncoding
from engine.errors import DataError
from engine.item_content import ItemContent


class LengthNetwork:
    """The content vector [1] of an item is the length of its title, which must not be "bad"."""

    version = "1"

    def has_content(self, content: ItemContent) -> bool:
        return "title" in content.metadata

    def encode(self, contents: Sequence[ItemContent]) -> np.ndarray:
        titles = [str(content.metadata["title"]) for content in contents]
        if "bad" in titles:
            raise DataError("title is 'bad'; choose another")
        return np.array([[len(title)] for title in titles], dtype=np.float32)


CONTENTS = [ItemContent({"title": "a" * (1 + row)}) for row in range(BATCH - 2)] + [ItemContent({})]
BAD = ItemContent({"title": "bad"})


def test_errors_stand_where_the_culprits_do() -> None:
    found = asyncio.run(ItemEncoding(LengthNetwork()).readings([*CONTENTS, BAD]))
    assert [int(each[0]) for each in found[: BATCH - 2]] == list(range(1, BATCH - 1))
    assert found[-2] is None
    assert isinstance(found[-1], DataError)


def test_the_item_is_named_in_whichever_batch_it_is() -> None:
    contents = [*CONTENTS, *CONTENTS, BAD, *CONTENTS]
    ids = [f"item {row}" for row in range(len(contents))]
    with pytest.raises(DataError, match=f"content of item 'item {contents.index(BAD)}': title is 'bad'"):
        asyncio.run(ItemEncoding(LengthNetwork()).vectors(ids, contents))
    contents.remove(BAD)
    found = asyncio.run(ItemEncoding(LengthNetwork()).vectors(ids[1:], contents))
    assert len(found) == len(contents)
