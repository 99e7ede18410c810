"""The command line, end to end on a generated data set; and what bad arguments get."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from worlds import markov_chain

from liverec.command_line import main
from training.optimiser import AveragedOptimiser

QUICK = [
    "--set=window.max_length=12",
    "--set=threads=1",
    "--set=retriever.epochs=6",
    "--set=retriever.network.width=16",
    "--set=retriever.learning_rate=0.02",
    "--set=retriever.events_per_batch=200",
    "--set=retriever.averaging=0.9",
    "--set=retriever.first_epochs=6",
    "--set=ratings.epochs=2",
    "--set=ratings.network.width=4",
    "--set=ratings.network.steps=4",
    "--set=ranker.epochs=1",
    "--set=ranker.keep=always",
    "--set=ranker.held_out=3",
]


class Result:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out = code, out
        # Rich wraps lines at the width of the terminal; messages are compared without that.
        self.err = " ".join(err.split())


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    def one(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["liverec", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return Result(int(ended.value.code or 0), captured.out, captured.err)

    return one


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A given split with renamed columns, and an items table."""
    folder = tmp_path_factory.mktemp("set")
    events = markov_chain().rename({"user_id": "who", "item_id": "what", "value": "stars"}).drop("kind", "row")
    left = pl.int_range(pl.len()).over("who")
    for name, part in (("train", left < 12), ("valid", left == 12), ("test", left == 13)):
        events.filter(part).write_csv(folder / f"{name}.csv")
    ids = events["what"].unique()
    pl.DataFrame({"item_id": ids, "title": "the " + ids, "categories": "a|b"}).write_csv(folder / "items.csv")
    return folder


COLUMNS = ["--column", "user_id=who", "--column", "item_id=what", "--column", "value=stars"]


@pytest.fixture(scope="module")
def bundle(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "bundle"
    command = [sys.executable, "-m", "liverec", "train", "--data", folder, "--out", out, *COLUMNS, *QUICK]
    finished = subprocess.run(command, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    assert "test reranked" in finished.stderr
    return out


def test_train_then_recommend_gives_each_user_unseen_items(bundle: Path, folder: Path, run, tmp_path: Path) -> None:
    given = ["--histories", folder / "train.csv", "--histories", folder / "valid.csv", *COLUMNS]
    for name in ("best.csv", "best.parquet"):
        assert run("recommend", "--bundle", bundle, *given, "--n", 5, "--out", tmp_path / name).code == 0
    csv, parquet = pl.read_csv(tmp_path / "best.csv"), pl.read_parquet(tmp_path / "best.parquet")
    assert csv.columns == parquet.columns == ["user_id", "item_id", "score"]
    assert csv.height == parquet.height == 80 * 5
    seen = pl.concat([pl.read_csv(folder / f"{part}.csv") for part in ("train", "valid")])
    assert csv.join(seen, left_on=["user_id", "item_id"], right_on=["who", "what"], how="semi").is_empty()
    first = csv.group_by("user_id", maintain_order=True).first()
    wanted = pl.read_csv(folder / "test.csv")
    hits = first.join(wanted, left_on=["user_id", "item_id"], right_on=["who", "what"], how="semi")
    assert hits.height > 40


def test_the_retrieved_order_can_be_had_alone(bundle: Path, folder: Path, run, tmp_path: Path) -> None:
    given = ["--histories", folder / "train.csv", *COLUMNS, "--bundle", bundle]
    run("recommend", *given, "--out", tmp_path / "a.csv")
    run("recommend", *given, "--out", tmp_path / "b.csv", "--retrieved")
    assert (tmp_path / "a.csv").read_bytes() != (tmp_path / "b.csv").read_bytes()


def test_ratings_of_pairs_are_predicted(bundle: Path, folder: Path, run, tmp_path: Path) -> None:
    out = tmp_path / "ratings.csv"
    given = ["--histories", folder / "train.csv", *COLUMNS]
    assert run("recommend", "--bundle", bundle, *given, "--pairs", folder / "test.csv", "--out", out).code == 0
    predicted = pl.read_csv(out)
    assert predicted.columns == ["user_id", "item_id", "rating"]
    assert predicted.height == 80
    assert predicted["rating"].is_between(1, 5).all()


def test_only_listed_items_are_recommended(bundle: Path, folder: Path, run, tmp_path: Path) -> None:
    listed, nobody, out = tmp_path / "listed.csv", tmp_path / "nobody.csv", tmp_path / "best.csv"
    ids = pl.read_csv(folder / "items.csv", infer_schema=False)["item_id"].sort()[:9].to_list()
    listed.write_text("\n".join(["sku", *ids, "never-seen", ids[0]]))
    nobody.write_text("item_id\nnever-seen\n")
    given = ["recommend", "--bundle", bundle, "--histories", folder / "train.csv", *COLUMNS, "--out", out, "--only"]
    result = run(*given, listed)
    assert result.code == 0, result.err
    assert "does not know 1 of the 10 items" in result.err
    best = pl.read_csv(out, infer_schema=False)
    assert set(best["item_id"]) <= set(ids)
    assert best["user_id"].n_unique() == 80
    check_refusal(run(*given, nobody), "nobody.csv", "knows none of these items", "never-seen")
    check_refusal(run(*given, folder / "train.csv", "--pairs", folder / "test.csv"), "--only", "--pairs")


def test_items_come_from_several_files(folder: Path, run, tmp_path: Path) -> None:
    more = tmp_path / "more.jsonl"
    more.write_text('{"item_id": "new", "title": "New"}\n')
    given = ["data", folder, *COLUMNS, "--items", folder / "items.csv", "--items", more]
    assert "25 items are described" in run(*given, "--media", tmp_path).err
    check_refusal(run(*given, "--media", tmp_path / "nowhere"), "--media", "nowhere", "no such folder")


def test_vectors_are_exported(bundle: Path, folder: Path, run, tmp_path: Path) -> None:
    assert run("export", "--bundle", bundle, "--histories", folder / "train.csv", *COLUMNS, "--out", tmp_path).code == 0
    users, items = (pl.read_parquet(tmp_path / f"{name}_vectors.parquet") for name in ("user", "item"))
    assert (users.height, items.height) == (80, 24)
    scores = np.stack(users["vector"].to_list()) @ np.stack(items["vector"].to_list()).T
    assert np.isfinite(scores).all()
    assert scores.std() > 0


def test_evaluate_stands_beside_popularity_and_ease(bundle: Path, folder: Path, run, tmp_path: Path) -> None:
    out = tmp_path / "table.json"
    result = run("evaluate", "--bundle", bundle, "--data", folder, *COLUMNS, *QUICK, "--out", out)
    assert result.code == 0, result.err
    rows = json.loads(out.read_text())
    assert list(rows) == ["popularity", "item-kNN", "EASE", "sasrec, retrieved", "ncf, reranked"]
    assert rows["sasrec, retrieved"]["NDCG@10"] > 1.5 * rows["popularity"]["NDCG@10"]


def test_data_is_cleaned_and_reported(folder: Path, run, tmp_path: Path) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text("user_id,item_id,rating,timestamp\na,x,4,1\na,x,4,1\nb,y,9,2\nb,z,3,99999999999\n")
    result = run("data", bad, "--set", "cleaning.rating_scale=[1,5]", "--out", tmp_path / "clean")
    assert result.code == 0, result.err
    report = json.loads((tmp_path / "clean" / "cleaning_all.json").read_text())
    assert (report["rows_in"], report["rows_out"]) == (4, 1)
    assert {row for finding in report["findings"] for row in finding["rows"]} == {3, 4, 5}


def test_an_interrupted_training_goes_on(folder: Path, run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, checkpoint = tmp_path / "bundle", tmp_path / "bundle.checkpoint"
    given = [
        "train",
        "--data",
        folder,
        "--out",
        out,
        *COLUMNS,
        *QUICK,
        "--set=ratings.model=bias",
        "--set=report=false",
    ]
    step, steps = AveragedOptimiser.step, []

    def until_ctrl_c(self: AveragedOptimiser, loss: object) -> float:
        if self.step_count == 3 and steps[-3:] == [0, 1, 2] and len(steps) > 3:
            raise KeyboardInterrupt
        steps.append(self.step_count)
        return step(self, loss)

    with monkeypatch.context() as patch:
        patch.setattr(AveragedOptimiser, "step", until_ctrl_c)
        assert run(*given).code != 0
    assert [path.name for path in tmp_path.iterdir()] == [checkpoint.name]
    check_refusal(run(*given, "--set=seed=2"), "bundle.checkpoint", "another config", "delete it")
    finished = run(*given)
    assert finished.code == 0, finished.err
    assert "sasrec, first 1/6" not in finished.err
    assert "sasrec 1/6" in finished.err
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


def check_refusal(result: Result, *words: str) -> None:
    assert result.code == 2, result.err
    assert "Traceback" not in result.err
    for word in words:
        assert word in result.err, result.err


def test_a_bundle_is_not_overwritten_unasked(bundle: Path, folder: Path, run) -> None:
    check_refusal(run("train", "--data", folder, "--out", bundle, *COLUMNS), "exists", "choose another name")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "--data", "ml-1b", "--out", "x"], ["ml-1b", "no such file"]),
        (["train", "--data", "{bad}", "--out", "x"], ["bad.csv", "--column"]),
        (["train", "--out", "x", "--set", "retriever.epoch=3"], ["retriever.epoch", "no such key", "'epochs'"]),
        (["train", "--out", "x", "--set", "retriever.network.width=63"], ["width 63", "multiple of 2 x 2"]),
        (["train", "--out", "x", "--set", "retriever.network.width=abc"], ["sasrec cannot be made", "abc"]),
        (["train", "--out", "x", "--set", "retriever.network.dropout=2"], ["dropout is 2"]),
        (["train", "--out", "x", "--set", "device=foo"], ["no device 'foo'"]),
        (
            ["train", "--out", "x", "--set", "window.event_weights.buy=7"],
            ["event_weights.buy", "less than or equal to 1"],
        ),
        (["train", "--out", "{bad}/x"], ["bad.csv/x cannot be written"]),
        (["data", "{bad}", "--out", "{bad}", "--column", "user_id=a", "--column", "item_id=b"], ["bad.csv"]),
        (["train", "--out", "x", "--set", "epochs"], ["--set epochs", "name=value"]),
        (["train", "--out", "x", "--config", "nowhere.toml"], ["nowhere.toml", "cannot be read"]),
        (["recommend", "--bundle", "nowhere", "--histories", "{bad}", "--out", "a.csv"], ["nowhere", "liverec train"]),
        (["recommend", "--bundle", "x", "--histories", "{bad}", "--out", "a.txt"], ["a.txt", ".csv or .parquet"]),
        (["serve", "--bundle", "nowhere"], ["nowhere", "liverec train"]),
        (["serve", "--port", "99999"], ["LIVEREC_PORT", "65535"]),
        (["load", "--data", "ml-100k"], ["REDIS_URL is not set"]),
        (["data", "--column", "person=uid"], ["person"]),
        (["fly"], ["No such command"]),
    ],
)
def test_bad_arguments_are_named(
    run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIVEREC_VAR", str(tmp_path / "v"))
    monkeypatch.delenv("REDIS_URL", raising=False)
    bad = tmp_path / "bad.csv"
    bad.write_text("a,b\n1,2\n")
    before = sorted(tmp_path.iterdir())
    check_refusal(run(*[argument.format(bad=bad) for argument in arguments]), *words)
    assert [path for path in sorted(tmp_path.iterdir()) if path.name not in ("v", "var")] == before


def test_a_damaged_bundle_is_not_served(tiny_bundle: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(tiny_bundle, copy)
    content = bytearray((copy / "sasrec_encoder.onnx").read_bytes())
    content[100] ^= 1
    (copy / "sasrec_encoder.onnx").write_bytes(content)
    check_refusal(serve("--bundle", copy, LIVEREC_VAR=str(tmp_path / "v")), "sasrec_encoder.onnx is damaged")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("LIVEREC_WORKRES", "2", ["unknown setting LIVEREC_WORKRES", "LIVEREC_WORKERS"]),
        ("LIVEREC_REDIS_URL", "redis://x", ["unknown setting LIVEREC_REDIS_URL", "REDIS_URL"]),
        ("LIVEREC_HOST", ".x", ["LIVEREC_HOST is '.x'"]),
        ("REDIS_URL", "redis://:my/secret@host:6379", ["REDIS_URL: percent-encode the password", "/ is %2F"]),
        ("LIVEREC_WORKERS", "0", ["LIVEREC_WORKERS", "greater than or equal to 1"]),
    ],
)
def test_a_wrong_setting_is_named(
    run, tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: list[str]
) -> None:
    monkeypatch.setenv("LIVEREC_VAR", str(tmp_path))
    monkeypatch.setenv(name, value)
    check_refusal(run("serve", "--bundle", tiny_bundle), *words)


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"REDIS_URL": "redis://127.0.0.1:1"}, ["the store cannot be used", "REDIS_URL"]),
        ({"REDIS_URL": "nonsense"}, ["REDIS_URL"]),
        ({"LIVEREC_HISTORY_LIMIT": "10"}, ["LIVEREC_HISTORY_LIMIT is 10", "set it to at least 12"]),
        ({"LIVEREC_VAR": "/tmp/" + "x" * 120}, ["too long for a socket", "LIVEREC_VAR"]),
    ],
)
def test_what_the_service_cannot_work_with_is_named(
    tiny_bundle: Path, environment: dict[str, str], words: list[str]
) -> None:
    check_refusal(serve("--bundle", tiny_bundle, **environment), *words)


def test_a_port_in_use_is_named(tiny_bundle: Path, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = serve("--bundle", tiny_bundle, "--port", str(port), LIVEREC_VAR=str(tmp_path))
    check_refusal(result, f"cannot listen on 127.0.0.1:{port}", "another --port")


def serve(*arguments: object, **environment: str) -> Result:
    command = [sys.executable, "-m", "liverec", "serve", *map(str, arguments)]
    variables = {name: value for name, value in os.environ.items() if name != "REDIS_URL"} | environment
    finished = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60)
    return Result(finished.returncode, finished.stdout, finished.stderr)


@pytest.mark.parametrize("command", ["", "data", "train", "evaluate", "recommend", "export", "load", "serve", "demo"])
def test_help_is_there(command: str, run) -> None:
    result = run(*([command] if command else []), "--help")
    assert result.code == 0
    assert "Usage" in result.out
