"""Files of items over one another: the last row counts, and files of which it says nothing stay."""

from __future__ import annotations

import polars as pl

from training.item_frame import FOLDER
from training.item_layers import laid_over

TEXT = dict.fromkeys(("item_id", "title", "image", "audio", FOLDER), pl.String)


def layer(folder: str, *rows: tuple[str | None, ...]) -> pl.LazyFrame:
    return pl.LazyFrame([(*row, folder) for row in rows], TEXT, orient="row")


def test_the_last_row_counts_and_its_null_files_stay_as_they_were() -> None:
    below = layer("one", ("a", "A", "a.jpg", "a.wav"), ("b", "B", "b.jpg", None), ("c", "C", "c.jpg", "c.wav"))
    above = layer(
        "two", ("a", None, None, None), ("b", "B2", "b2.jpg", None), ("c", "C2", "", None), ("d", "D", None, None)
    )
    rows = laid_over([below, above]).sort("item_id").collect().rows()
    assert rows == [
        ("a", None, "a.jpg", "a.wav", "one"),
        ("b", "B2", "b2.jpg", None, "two"),
        ("c", "C2", "", "c.wav", "one"),
        ("d", "D", None, None, "two"),
    ]


def test_frames_without_files_are_laid_over_too() -> None:
    plain = pl.LazyFrame({"item_id": ["a"], "title": ["A"]})
    full = layer("one", ("a", "A2", "a.jpg", None))
    assert laid_over([plain, full]).collect().rows(named=True)[0]["image"] == "a.jpg"
    assert laid_over([full, plain]).collect().rows(named=True)[0]["image"] is None
