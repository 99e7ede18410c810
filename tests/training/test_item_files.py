"""Files of items: several at once, JSON lines, files that they name; and what training makes of them."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from data_files import opened, write
from worlds import markov_chain

from engine.errors import ConfigError, DataError
from training import item_contents
from training.config import TrainingConfig
from training.dataset import Dataset
from training.item_contents import ItemContents
from training.item_frame import FOLDER
from training.item_list import item_list
from training.preparation import Preparation

EVENTS = {"e.csv": "user_id,item_id,rating,timestamp\nu,a,5,1\nu,b,4,2\nu,c,4,3\nv,a,3,1\nv,b,1,2\nv,c,1,3\n"}
CSV = "item_id,title,categories,cast,awards,image\na,A,x|y,m|n,one,i/a.jpg\nb,B,,,,b.jpg\nd,D,x,,,\n"
LINES = (
    '{"item_id": "b", "title": "B2", "cast": ["o"], "awards": [{"year": 1}], "audio": "b.wav"}\n\n{"item_id": "e"}\n'
)


def described(tmp_path: Path, *names: str, **options: object) -> dict[str, dict[str, object]]:
    dataset = opened(tmp_path / "e.csv", tmp_path, items=[tmp_path / name for name in names], **options)
    rows = dataset.items.drop(FOLDER).collect().to_dicts()
    return {row.pop("item_id"): {name: value for name, value in row.items() if value} for row in rows}


@pytest.mark.parametrize("name", ["two.jsonl", "two.jsonl.gz"])
def test_a_later_file_has_all_of_an_items_row(tmp_path, name):
    write(tmp_path, **EVENTS, **{"one.csv": CSV, name: LINES})
    assert described(tmp_path, "one.csv", name) == {
        "a": {"title": "A", "categories": ["x", "y"], "cast": ["m", "n"], "awards": ["one"], "image": "i/a.jpg"},
        "d": {"title": "D", "categories": ["x"]},
        "b": {"title": "B2", "cast": ["o"], "awards": ['{"year": 1}'], "audio": "b.wav"},
        "e": {},
    }
    backwards = described(tmp_path, name, "one.csv")
    assert backwards["b"] == {"title": "B", "image": "b.jpg"}
    assert list(backwards) == ["e", "a", "b", "d"]


def test_json_lines_keep_lists_and_ids(tmp_path):
    lines = '{"sku": 7, "genres": ["x", "y"], "price": 2.5}\n{"sku": "8", "genres": null, "price": null}\n'
    write(tmp_path / "a[1]", **EVENTS, **{"i.jsonl": lines, "f.jsonl": '{"item_id": 7}\n{"item_id": 1e1}\n'})
    assert described(tmp_path / "a[1]", "i.jsonl") == {"7": {"categories": ["x", "y"], "price": "2.5"}, "8": {}}
    assert list(described(tmp_path / "a[1]", "f.jsonl")) == ["7", "10"]


def test_a_given_split_may_have_json_lines_as_items(tmp_path):
    write(tmp_path / "d", **{"train.csv": EVENTS["e.csv"], "items.jsonl": '{"item_id": "a"}\n'})
    assert opened(tmp_path / "d", tmp_path).items.collect()["item_id"].to_list() == ["a"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b'{"item_id": "a"}\n{"item_id":\n', "line 2 is no JSON object"),
        (b'{"item_id": "a"}\n3\n', "line 2 is no JSON object"),
        (b'[{"item_id": "a"}]\n', "i.jsonl"),
        (b'{"item_id": "a"}\n{"item_id": "\xff"}\n', "line 2 is not valid UTF-8"),
        (b'{"item_id": "a"}\n{"title": "b"}\n', r"missing or occur twice: \[None\]"),
        (b'{"title": "b"}\n', "no column for item_id"),
    ],
)
def test_bad_json_lines_say_what_is_wrong(tmp_path, content, message):
    write(tmp_path, **EVENTS, **{"i.jsonl": content})
    with pytest.raises(DataError, match=message) as caught:
        described(tmp_path, "i.jsonl")
    assert "i.jsonl" in str(caught.value)


def contents_of(tmp_path: Path, *names: object, media: Path | None = None) -> ItemContents:
    rows = [json.dumps({"image": name} if name else {}).encode() for name in names]
    return ItemContents(rows, media, [tmp_path] * len(rows))


def test_files_are_read_when_an_item_is_asked_for(tmp_path):
    contents = contents_of(tmp_path, "x.jpg", None)
    assert (contents.missing_media(), contents[0].image, contents[1].image) == (1, None, None)
    write(tmp_path, **{"x.jpg": b"picture"})
    assert (contents.missing_media(), contents[0].image, contents[-2].image) == (0, b"picture", b"picture")
    assert contents[0].metadata == {"image": "x.jpg"}
    assert [each.image for each in contents[:1]] == [b"picture"]
    assert len(list(contents)) == 2


def test_the_given_folder_comes_before_that_of_the_file(tmp_path):
    write(tmp_path / "own", **{"x.jpg": b"own", "y.jpg": b"own"})
    write(tmp_path / "media", **{"x.jpg": b"given"})
    contents = contents_of(tmp_path / "own", "x.jpg", "y.jpg", media=tmp_path / "media")
    assert [each.image for each in contents] == [b"given", b"own"]
    assert ItemContents([b'{"audio":"x.jpg"}'], tmp_path / "media")[0].audio == b"given"
    assert ItemContents([b'{"audio":"x.jpg"}']).missing_media() == 1


@pytest.mark.parametrize("name", ["../secret", "i/../../secret", "/etc/hostname", "link", "folder/secret"])
def test_a_path_that_leaves_the_folder_is_refused(tmp_path, name):
    inside = write(tmp_path / "inside", **{"x.jpg": b"x"})
    write(tmp_path, secret=b"secret")
    (inside / "link").symlink_to(tmp_path / "secret")
    (inside / "folder").symlink_to(tmp_path)
    with pytest.raises(DataError, match=f"'{name}' names a file outside of .*inside.*--media"):
        contents_of(inside, name)[0]


def test_addresses_and_folders_are_no_files(tmp_path):
    write(tmp_path / "folder", **{"x.jpg": b"x"})
    contents = contents_of(tmp_path, "https://host/x.jpg", "data:" + "x" * 5_000, "folder", ".", "a\0b")
    assert [each.image for each in contents] == [None] * 5
    assert contents.missing_media() == 5


def test_a_huge_file_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(item_contents, "MAX_MEDIA_BYTES", 4)
    write(tmp_path, **{"x.jpg": b"1234", "y.jpg": b"12345"})
    contents = contents_of(tmp_path, "x.jpg", "y.jpg")
    assert contents[0].image == b"1234"
    with pytest.raises(DataError, match=r"y\.jpg is larger than 4 bytes"):
        contents[1]


def test_a_preparation_has_the_contents_of_known_and_new_items(tmp_path):
    head = "user_id,item_id\n"
    parts = {"train": "u,a\nv,a\nv,f\n", "valid": "v,b\n", "test": "u,b\n"}
    write(tmp_path / "split", **{f"{part}.csv": head + rows for part, rows in parts.items()})
    write(tmp_path / "one", **{"i.csv": CSV, "b.jpg": b"wrong"})
    write(tmp_path / "one" / "i", **{"a.jpg": b"a"})
    write(tmp_path / "two", **{"i.jsonl": LINES + json.dumps({"item_id": "x" * 300}), "b.wav": b"b"})
    files = [tmp_path / "one" / "i.csv", tmp_path / "two" / "i.jsonl"]
    preparation = Preparation.of(opened(tmp_path / "split", tmp_path, items=files), TrainingConfig())
    assert preparation.vocabulary.ids() == ("a", "f")
    assert preparation.newcomers == ("b", "d", "e")
    assert [each.image for each in preparation.contents] == [b"a", None]
    assert [each.audio for each in preparation.newcomer_contents] == [b"b", None, None]
    assert [each.metadata for each in preparation.newcomer_contents] == [
        json.loads(row) for row in preparation.newcomer_metadata
    ]
    assert json.loads(preparation.metadata[0]) == {
        "title": "A", "categories": ["x", "y"], "image": "i/a.jpg", "cast": ["m", "n"], "awards": ["one"],
    }  # fmt: skip
    assert preparation.metadata[1] == b"{}"
    assert str(tmp_path).encode() not in b"".join((*preparation.metadata, *preparation.newcomer_metadata))


def test_newcomers_do_not_change_the_fingerprint():
    events = markov_chain()
    items = pl.DataFrame({"item_id": events["item_id"].unique().sort()}).with_columns(title=pl.lit("t"))
    more = pl.concat([items, pl.DataFrame({"item_id": ["new"], "title": ["n"]})])
    one, two = (
        Preparation.of(Dataset("w", {"all": events.lazy()}, frame.lazy()), TrainingConfig()) for frame in (items, more)
    )
    assert one.fingerprint() == two.fingerprint()
    assert (one.newcomers, two.newcomers, two.newcomer_metadata) == ((), ("new",), (b'{"title":"n"}',))


def test_without_items_there_are_no_contents():
    preparation = Preparation.of(Dataset("w", {"all": markov_chain().lazy()}, None), TrainingConfig())
    assert (preparation.metadata, preparation.newcomers, preparation.newcomer_metadata) == ((), (), ())
    assert (len(preparation.contents), len(preparation.newcomer_contents)) == (0, 0)


def test_a_folder_of_media_must_exist(tmp_path):
    write(tmp_path, **EVENTS)
    with pytest.raises(ConfigError, match=r"--media .*nowhere: there is no such folder"):
        opened(tmp_path / "e.csv", tmp_path, media=tmp_path / "nowhere")


def test_item_lists(tmp_path):
    write(tmp_path, **{"a.csv.gz": "sku,x\n2,1\n1,1\n2,1\n,1\n", "b.csv": "what,x\n7,1\n", "c.csv": "item_id\n\n"})
    pl.DataFrame({"item": [1.0, None, 20.0]}).write_parquet(tmp_path / "d.parquet")
    assert item_list(tmp_path / "a.csv.gz", {"item_id": "what", "user_id": "who"}) == ["2", "1"]
    assert item_list(tmp_path / "b.csv", {"item_id": "what"}) == ["7"]
    assert item_list(tmp_path / "d.parquet", {}) == ["1", "20"]
    with pytest.raises(DataError, match=r"c\.csv: no row has an item_id"):
        item_list(tmp_path / "c.csv", {})
    with pytest.raises(DataError, match=r"b\.csv: no column for item_id"):
        item_list(tmp_path / "b.csv", {})
