"""Bad files, folders and requests: the error names the file, the value and the remedy."""

import gzip

import polars as pl
import pytest
from data_files import HEAD, events, one_file, opened, write

from engine.errors import ConfigError, DataError

CSV = "1,10,4.0,1000000000\n1,20,3.5,1000000060\n"
TAB = CSV.replace(",", "\t")
DAT = CSV.replace(",", "::")
ATOMIC = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n" + TAB
BAD = {
    "empty": ("e.csv", b"", "the file is empty"),
    "empty gzip": ("e.csv.gz", b"", "the file is empty"),
    "header only": ("e.csv", HEAD, "a header but no events"),
    "blank header": ("e.csv", "\n1,2\n", "line 1 is blank"),
    "doubled column": ("e.csv", "user,user,item\n1,2,3\n", r"\['user'\] more than once"),
    "no user": (
        "e.csv",
        "a,item\n1,2\n",
        r"no column for user_id\. Its columns are: a, item\. .*--column user_id=NAME",
    ),
    "no columns": ("e.csv", "1,2\n3,4\n", "no column for user_id and item_id"),
    "ambiguous": ("e.csv", "user,item,sku\n1,2,3\n", "item and sku could each be the item_id.*--column item_id=NAME"),
    "bad rating": (
        "e.csv",
        "user,item,rating\n1,2,3\n1,3,good\n1,4,\n",
        "1 values cannot be read as value: row 3: 'good'",
    ),
    "bad time": (
        "e.csv",
        "user,item,ts\n1,2,3\n1,3,4\n1,4,noon\n",
        "1 values cannot be read as timestamp: row 4: 'noon'",
    ),
    "bad date": ("e.csv", "user,item,ts\n1,2,2020-01-02\n1,3,2020-02-31\n", "row 3: '2020-02-31'"),
    "binary": ("e.csv", bytes(range(256)), "binary data"),
    "junk": ("e.csv", b"user,item\n1,2\n\xff\xfe,3\n", "line 3 is not valid UTF-8"),
    "junk header": ("e.csv", b"user,\xff\n1,2\n", "line 1 is not valid UTF-8"),
    "too many fields": ("e.csv", "user,item\n1,2\n1,2,3\n", "line 3 has 3 fields, expected 2"),
    "open quote": ("e.csv", 'user,item\n1,2\n1,"3\n', "line 3"),
    "no parquet": ("e.parquet", b"PAR1 or not", "e.parquet: parquet"),
    "short line": ("ratings.dat", "1::2::3::4\n5::6\n", "row 2: '5::6'"),
    "long line": ("ratings.dat", "1::2::3::4::5\n", "row 1: '1::2::3::4::5'"),
    "junk dat": ("ratings.dat", b"1::2::3::4\n1::\xff::3::4\n", "line 2 is not valid UTF-8"),
    "unknown name": ("e.xlsx", b"PK", "a file of this name cannot be read"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files_say_what_is_wrong(tmp_path, case):
    name, content, message = BAD[case]
    with pytest.raises(DataError, match=message) as caught:
        one_file(tmp_path, content, name)
    assert name in str(caught.value)


def test_a_cut_gzip_is_damaged(tmp_path):
    path = tmp_path / "e.csv.gz"
    path.write_bytes(gzip.compress((HEAD + CSV * 9).encode())[:-9])
    with pytest.raises(DataError, match="compressed data are damaged"):
        events(path, tmp_path)


def test_a_list_is_no_rating(tmp_path):
    path = tmp_path / "e.parquet"
    pl.DataFrame({"user": [1], "item": [2], "rating": [[3]]}).write_parquet(path)
    with pytest.raises(DataError, match="'rating' has type List"):
        events(path, tmp_path)


BAD_FOLDERS = {
    "empty": ({}, "no known layout. It contains: nothing"),
    "unknown": ({"a.txt": "x", "b.md": "x"}, "no known layout. It contains: a.txt, b.md"),
    "two sets": ({"u.data": TAB, "ratings.csv": HEAD + CSV}, r"several data sets \(MovieLens 100K, MovieLens CSV\)"),
    "two forms": (
        {"train.csv": HEAD + CSV, "train.csv.gz": HEAD + CSV},
        "train.csv and train.csv.gz are there at once",
    ),
    "two atomic": ({"a.inter": ATOMIC, "b.inter": ATOMIC}, "a.inter and b.inter are there at once"),
    "items twice": ({"ratings.csv": HEAD + CSV, "movies.csv": "movieId\n1\n1\n"}, r"missing or occur twice: \['1'\]"),
    "no items": ({"ratings.csv": HEAD + CSV, "movies.csv": "movieId\n"}, "a header but no items"),
    "cut u.item": ({"u.data": TAB, "u.item": "1|a|b\n"}, "u.item: line 1 has 3 fields, expected 24"),
    "cut movies.dat": ({"ratings.dat": DAT, "movies.dat": "1::a::b\n2::c\n"}, "line 2 has 2 fields, expected 3"),
    "movies.dat twice": ({"ratings.dat": DAT, "movies.dat": "1::a::b\n1::c::\n"}, r"occur twice: \['1'\]"),
}


@pytest.mark.parametrize("case", BAD_FOLDERS)
def test_bad_folders_say_what_is_wrong(tmp_path, case):
    files, message = BAD_FOLDERS[case]
    with pytest.raises(DataError, match=message):
        opened(write(tmp_path / "d", **files), tmp_path)


def test_missing_files(tmp_path):
    with pytest.raises(DataError, match="no such file or folder"):
        opened(tmp_path / "nowhere", tmp_path)
    write(tmp_path / "d", **{"u1.base": TAB})
    with pytest.raises(DataError, match=r"u1\.test: there is no such file"):
        opened(tmp_path / "d" / "u1.base", tmp_path)


@pytest.mark.parametrize(
    ("columns", "error", "message"),
    [
        ({"usr": "a"}, ConfigError, "'usr' is no column of ours"),
        ({"user_id": "a", "item_id": "a"}, ConfigError, "also given for item_id"),
        ({"user_id": "b"}, DataError, "no column 'b'.*userId"),
    ],
)
def test_bad_requests(tmp_path, columns, error, message):
    with pytest.raises(error, match=message):
        one_file(tmp_path, HEAD + CSV, columns=columns)
