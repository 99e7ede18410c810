"""Items that came live, as files that training reads."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import polars as pl
import pytest
from pictures import picture

from app.embedded_store import EmbeddedStore
from app.item_document import ItemDocument
from app.item_store import Draft, ItemStore
from app.settings import Settings
from app.store_connection import StoreConnection
from engine.image_decoding import thumbnail
from liverec.command_line import main
from training.config import TrainingConfig
from training.dataset import open_dataset
from training.preparation import Preparation

LIVE = {"title": "New", "categories": ["a", "b"], "year": 2026, "price": 1.5, "cast": ["x"], "runtime": 90, "hd": True}
# As a bundle's items table may have it.
TRAINED = {
    "title": "Old (1995)",
    "categories": ["c"],
    "price": "9.9",
    "cast": "y|z",
    "awards": [{"name": "n"}],
    "image": "i.png",
}


def export(monkeypatch: pytest.MonkeyPatch, url: str, out: Path) -> int:
    monkeypatch.setenv("REDIS_URL", url)
    monkeypatch.setattr(sys, "argv", ["liverec", "items", "export", "--out", str(out)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


@pytest.fixture
def url(tmp_path: Path):
    async def fill(url: str) -> None:
        connection = await StoreConnection.connect(url, Settings())
        image = thumbnail(picture(), 256, 1_000_000)
        drafts = [
            Draft(ItemDocument("live/1", metadata=LIVE, has_image=True), image=image),
            Draft(ItemDocument("item 3", metadata=TRAINED, is_hidden=True)),
            Draft(ItemDocument("item 4", metadata=TRAINED, is_hidden=True, of_bundle=True)),
            Draft(ItemDocument("gone", is_deleted=True)),
        ]
        await ItemStore(connection).put(drafts)
        await connection.close()

    with EmbeddedStore(tmp_path) as store:
        asyncio.run(fill(store.url))
        yield store.url


def test_all_that_came_live_is_exported(monkeypatch: pytest.MonkeyPatch, url: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert export(monkeypatch, url, out) == 0
    table = pl.read_parquet(out / "items.parquet")
    old, new = table.rows(named=True)
    assert (new["item_id"], new["title"], new["categories"], new["year"], new["price"]) == (
        "live/1",
        "New",
        ["a", "b"],
        2026,
        1.5,
    )
    assert (new["cast"], new["runtime"], new["hd"], new["tags"]) == ("x", "90", "true", None)
    assert (out / new["image"]).read_bytes().startswith(b"\xff\xd8")
    assert (old["item_id"], old["price"], old["cast"], old["image"]) == ("item 3", 9.9, "y|z", None)
    assert old["awards"] == ['{"name": "n"}']
    assert export(monkeypatch, url, out) == 2


def test_training_reads_what_was_exported(monkeypatch: pytest.MonkeyPatch, url: str, tmp_path: Path) -> None:
    export(monkeypatch, url, tmp_path / "out")
    events = tmp_path / "events.csv"
    events.write_text("user_id,item_id,rating\nu,live/1,5\n")
    items = open_dataset(str(events), cache=tmp_path, items=[tmp_path / "out" / "items.parquet"]).items
    read = {row["item_id"]: row for row in items.collect().iter_rows(named=True)}
    assert read["live/1"]["categories"] == ["a", "b"]
    assert read["item 3"]["title"] == "Old (1995)"


def test_what_was_exported_is_laid_over_other_items(monkeypatch: pytest.MonkeyPatch, url: str, tmp_path: Path) -> None:
    export(monkeypatch, url, tmp_path / "out")
    events, items = tmp_path / "events.csv", tmp_path / "items.csv"
    rows = [f"{user},{item}\n" for user in "uvw" for item in ("f", "item 3", "item 4", "g", "h")]
    events.write_text("".join(["user_id,item_id\n", *rows]))
    whole = [f"{item},I,c,n,f.jpg\n" for item in ("item 3", "item 4", "live/1")]
    items.write_text("".join(["item_id,title,tags,cast,image\nf,F,a|b,m,\n", *whole]))
    (tmp_path / "f.jpg").write_bytes(b"the file of the items file")
    dataset = open_dataset(str(events), cache=tmp_path, items=[items, tmp_path / "out" / "items.parquet"])
    preparation = Preparation.of(dataset, TrainingConfig())
    metadata = dict(zip(preparation.vocabulary.ids(), map(json.loads, preparation.metadata), strict=True))
    assert metadata["f"] == {"title": "F", "tags": ["a", "b"], "cast": "m"}
    # Changed, but of its image the service says nothing; only hidden; replaced, image and all.
    assert (metadata["item 3"]["title"], metadata["item 3"]["image"]) == ("Old (1995)", "f.jpg")
    assert metadata["item 4"] == {"title": "I", "tags": ["c"], "cast": "n", "image": "f.jpg"}
    contents = preparation.contents[preparation.vocabulary.index_of("item 3")]
    assert contents.image == b"the file of the items file"
    assert preparation.newcomers == ("live/1",)
    assert preparation.newcomer_contents[0].image.startswith(b"\xff\xd8")


def test_the_export_says_which_items_lose_a_file(
    monkeypatch: pytest.MonkeyPatch, url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def add() -> None:
        connection = await StoreConnection.connect(url, Settings())
        both = ItemDocument("both", metadata=TRAINED, has_image=True, has_audio=True)
        drafts = [
            Draft(ItemDocument("parted", metadata=TRAINED, has_audio=True), audio=b"a sound"),
            Draft(both, image=thumbnail(picture(), 256, 1_000_000), audio=b"a sound"),
        ]
        await ItemStore(connection).put(drafts)
        await connection.close()

    assert export(monkeypatch, url, tmp_path / "before") == 0
    assert "lose the other" not in " ".join(capsys.readouterr().err.split())
    asyncio.run(add())
    assert export(monkeypatch, url, tmp_path / "out") == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "lose the other, which only an earlier items file names: 1 ('parted')." in said
    assert "send it with PUT /items/{item_id}/image or /audio and export again" in said
    rows = {row["item_id"]: row for row in pl.read_parquet(tmp_path / "out" / "items.parquet").iter_rows(named=True)}
    assert rows["parted"]["image"] == ""
    assert rows["item 3"]["image"] is None


def test_a_store_without_items_gives_an_empty_table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with EmbeddedStore(tmp_path) as store:
        assert export(monkeypatch, store.url, tmp_path / "out") == 0
    exported = tmp_path / "out" / "items.parquet"
    assert pl.read_parquet(exported).columns[:2] == ["item_id", "title"]
    events = tmp_path / "items.csv"
    events.write_text("user_id,item_id\nu,a\n")
    assert open_dataset(str(events), cache=tmp_path, items=[events, exported]).items.collect()["item_id"].item() == "a"


def test_without_a_store_the_remedy_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export(monkeypatch, "", tmp_path / "out") == 2
    assert "REDIS_URL is not set" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
