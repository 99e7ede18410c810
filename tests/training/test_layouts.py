"""Every layout of a data set, written small, reads as the same canonical frames; every bad file says what is wrong."""

import csv
import io
from datetime import UTC, datetime

import polars as pl
import pytest
from data_files import HEAD, events, one_file, opened, write, zip_of
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from training.item_frame import FOLDER
from training.tables import scan_delimited

RATINGS = [("1", "10", 4.0, 1_000_000_000.0), ("1", "20", 3.5, 1_000_000_060.0), ("2", "10", 5.0, 1_000_000_120.0)]
CSV = "".join(f"{u},{i},{v},{int(t)}\n" for u, i, v, t in RATINGS)
TAB = CSV.replace(",", "\t")
DAT = CSV.replace(",", "::")
FLAGS = ["|".join("1" if i in on else "0" for i in range(19)) for on in ((1, 4), ())]
U_ITEM = f"10|Heat (1995)|15-Dec-1995||http://x|{FLAGS[0]}\n20|Café|||http://y|{FLAGS[1]}\n".encode("latin-1")
MOVIES_DAT = "10::Heat: a::b (1995)::Action|Crime\n20::Café (1996)::\n"
MOVIES_CSV = 'movieId,title,genres\n10,"Heat, a (1995)",Action|Crime\n20,Serial (1996–1998),(no genres listed)\n'
ATOMIC = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n" + TAB
ATOMIC_ITEMS = (
    "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n10\tHeat\t1995\tAction Children's\n"
)
LAYOUTS = {
    "ml-100k": ({"u.data": TAB, "u.item": U_ITEM}, 1),
    "recbole": ({"x.inter": ATOMIC, "x.item": ATOMIC_ITEMS}, 2),
    "ml-latest": ({"ratings.csv": HEAD + CSV, "movies.csv": MOVIES_CSV, "tags.csv": "userId,tag\n1,x\n"}, 2),
    "ml-1m": ({"ratings.dat": DAT, "movies.dat": MOVIES_DAT.encode("latin-1"), "users.dat": "1::F\n"}, 1),
    "movietweetings": ({"ratings.dat.gz": DAT, "movies.dat.gz": MOVIES_DAT}, 1),
    "crlf": ({"ratings.dat": DAT.replace("\n", "\r\n"), "movies.dat": MOVIES_DAT.replace("\n", "\r\n")}, 1),
    "byte order mark": ({"ratings.csv": "\ufeff" + HEAD + CSV, "movies.csv": "\ufeff" + MOVIES_CSV}, 2),
    "semicolons": ({"ratings.csv": (HEAD + CSV).replace(",", ";")}, 2),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("zipped", [False, True])
def test_every_layout_gives_the_same_events(tmp_path, layout, zipped):
    files, first_row = LAYOUTS[layout]
    source = write(tmp_path / "data", **files)
    if zipped:
        source = zip_of(tmp_path, {f"data/{name}": (source / name).read_bytes() for name in files})
    frame = events(source, tmp_path)
    assert frame.rows() == [(u, i, "rating", v, t, first_row + n) for n, (u, i, v, t) in enumerate(RATINGS)]
    assert frame.dtypes == [pl.String, pl.String, pl.String, pl.Float64, pl.Float64, pl.UInt64]


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        ("ml-100k", [("10", "Heat (1995)", ["Action", "Children's"], 1995), ("20", "Café", [], None)]),
        ("recbole", [("10", "Heat", ["Action", "Children's"], 1995)]),
        ("ml-latest", [("10", "Heat, a (1995)", ["Action", "Crime"], 1995), ("20", "Serial (1996–1998)", [], 1996)]),
        ("ml-1m", [("10", "Heat: a::b (1995)", ["Action", "Crime"], 1995), ("20", "Café (1996)", [], 1996)]),
        ("movietweetings", [("10", "Heat: a::b (1995)", ["Action", "Crime"], 1995), ("20", "Café (1996)", [], 1996)]),
    ],
)
def test_every_layout_gives_its_items(tmp_path, layout, expected):
    items = opened(write(tmp_path / "data", **LAYOUTS[layout][0]), tmp_path).items.collect()
    assert items.select("item_id", "title", "categories", "year").rows() == expected
    assert items.select("description", "image").null_count().row(0) == (len(items), len(items))


def test_genre_names_come_from_u_genre_if_it_is_there(tmp_path):
    genres = "Zebra|1\nother|0\n"
    folder = write(tmp_path / "d", **{"u.data": TAB, "u.item": "10|Heat|||x|0|1\n", "u.genre": genres})
    assert opened(folder, tmp_path).items.collect()["categories"].to_list() == [["Zebra"]]


def test_a_fold_of_movielens_100k_is_a_given_split(tmp_path):
    folder = write(tmp_path / "d", **{"u1.base": TAB, "u1.test": TAB[:18], "u.data": TAB, "u.item": U_ITEM})
    dataset = opened(folder / "u1.base", tmp_path)
    assert {part: frame.collect().height for part, frame in dataset.parts.items()} == {"train": 3, "test": 1}
    assert dataset.items is not None


def test_a_given_split_keeps_its_parts(tmp_path):
    head = "user_id,item_id,rating,timestamp\n"
    items = "item_id,title,categories,year,description,director\n10,Heat,Action|Crime,1995,Good,M. Mann\n"
    folder = write(
        tmp_path / "split",
        **{"train.csv.gz": head + CSV, "test.csv": head + "2,20,,\n", "items.csv.gz": items, "x.csv": "a"},
    )
    dataset = opened(folder, tmp_path)
    assert dataset.name == "split"
    assert list(dataset.parts) == ["train", "test"]
    assert dataset.parts["test"].collect().rows() == [("2", "20", "view", None, None, 2)]
    assert dataset.items.collect().to_dicts()[0] == {
        "item_id": "10", "title": "Heat", "categories": ["Action", "Crime"], "year": 1995, "description": "Good",
        "image": None, "audio": None, "director": "M. Mann", FOLDER: str(folder),
    }  # fmt: skip


def test_a_table_in_a_zip_is_found(tmp_path):
    assert events(zip_of(tmp_path, {"e.csv": HEAD + CSV}), tmp_path).height == 3


def test_parquet_keeps_its_types(tmp_path):
    path = tmp_path / "e.parquet"
    moment = datetime(2020, 1, 2, tzinfo=UTC)
    pl.DataFrame({"user": [1.0, None], "sku": [7, 8], "stars": [3, None], "ts": [moment, None]}).write_parquet(path)
    rows = events(path, tmp_path).rows()
    assert rows == [("1", "7", "rating", 3.0, moment.timestamp(), 1), (None, "8", "rating", None, None, 2)]


@pytest.mark.parametrize("name", ["e.tsv", "e.tsv.gz"])
def test_tab_separated_text(tmp_path, name):
    assert one_file(tmp_path, (HEAD + CSV).replace(",", "\t"), name).height == 3


@pytest.mark.parametrize(
    ("texts", "seconds"),
    [
        (("1000000000", "1000000001.5"), (1e9, 1e9 + 1.5)),
        (("1000000000000", "1000000001500"), (1e9, 1e9 + 1.5)),
        (("1000000000000000", "1000000001500000"), (1e9, 1e9 + 1.5)),
        (("1000000000000000000", "1000000001500000000"), (1e9, 1e9 + 1.5)),
        (("0", "1"), (0.0, 1.0)),
        (("2001-09-09T01:46:40Z", "2001-09-09 01:46:41.5"), (1e9, 1e9 + 1.5)),
        (("2001-09-09T03:46:40+02:00", "2001-09-09T03:46:41.5+0200"), (1e9, 1e9 + 1.5)),
        (("2001-09-09", "2001-09-09 00:01"), (999_993_600.0, 999_993_660.0)),
        (("2001-09-09", ""), (999_993_600.0, None)),
        (("", ""), (None, None)),
    ],
)
def test_clocks_of_every_kind_become_unix_seconds(tmp_path, texts, seconds):
    frame = one_file(tmp_path, "user,item,time\n" + "".join(f"1,{i},{text}\n" for i, text in enumerate(texts)))
    assert tuple(frame["timestamp"]) == seconds


@pytest.mark.parametrize("per_second", [1_000, 1_000_000, 1_000_000_000])
def test_finer_units_become_exact_seconds(tmp_path, per_second):
    seconds = range(800_000_000, 2_000_000_000, 10_000_019)
    frame = one_file(tmp_path, "user,item,time\n" + "".join(f"1,1,{second * per_second}\n" for second in seconds))
    assert frame["timestamp"].to_list() == list(seconds)


def test_one_absurd_time_does_not_change_the_unit_of_the_others(tmp_path):
    assert one_file(tmp_path, "user,item,time\n1,1,5000\n1,2,6000\n1,3,9999999999999\n")["timestamp"][0] == 5000


def test_kinds(tmp_path):
    frame = one_file(tmp_path, "user,item,event,score\n1,1,purchase,\n1,2,,4\n1,3,,\n")
    assert frame["kind"].to_list() == ["purchase", "rating", "view"]
    assert one_file(tmp_path, "user,item,score\n1,1,4\n1,2,\n")["kind"].to_list() == ["rating", "rating"]
    assert one_file(tmp_path, "user,item\n1,1\n")["kind"].to_list() == ["view"]


def test_columns_by_request(tmp_path):
    content = "who,item_id,product_id,b\n1,2,3,4\n"
    columns = {"user_id": "who", "item_id": "product_id", "value": "b"}
    assert one_file(tmp_path, content, columns=columns).select("user_id", "item_id", "value").row(0) == ("1", "3", 4.0)


def test_an_item_id_requested_for_events_does_not_bind_the_items(tmp_path):
    write(tmp_path / "d", **{"e.csv": "user,a,item\n1,10,x\n", "i.csv": "item_id,title\n10,Heat\n"})
    dataset = opened(tmp_path / "d" / "e.csv", tmp_path, items=[tmp_path / "d" / "i.csv"], columns={"item_id": "a"})
    assert dataset.items.collect()["item_id"].to_list() == dataset.parts["all"].collect()["item_id"].to_list()


def test_row_numbers_are_lines_even_after_quoted_line_breaks(tmp_path):
    assert one_file(tmp_path, 'user,item\n1,"a\nb"\n2,c\n')["row"].to_list() == [2, 4]


ids = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=12)


@hypothesis_settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.tuples(ids, ids, st.floats(0.5, 5), st.integers(0, 2**31)), min_size=1, max_size=8))
def test_any_id_survives_a_csv_file(tmp_path_factory, rows):
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerows([("user_id", "item_id", "rating", "timestamp"), *rows])
    folder = tmp_path_factory.mktemp("csv")
    frame = one_file(folder, text.getvalue())
    assert frame.select("user_id", "item_id", "value", "timestamp").rows() == rows
    lines = text.getvalue().split("\n")
    assert all(
        lines[row - 1].startswith('"' + user.split("\n")[0].replace('"', '""'))
        for user, row in frame["user_id", "row"].rows()
    )


def test_tables_are_lazy(tmp_path):
    path = write(tmp_path / "d", **{"e.csv": HEAD + CSV}) / "e.csv"
    table = scan_delimited(path)
    path.write_text(HEAD + CSV * 2)
    assert table.frame.collect().height == 6
