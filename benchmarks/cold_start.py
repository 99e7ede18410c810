"""How well items are ranked that nobody has met: by text, by image, by both, and by all that is known of them.

    python benchmarks/cold_start.py --data ml-small-cold --media FOLDER_WITH_posters [--judge PATH/judge.py]
                                    [--sentences FOLDER_OF_A_MODEL] [--out FOLDER_FOR_BUNDLES]

The data folder has train, test, items, and cold_items.csv.gz: the items that no training event knows. Each row trains a
bundle (benchmarks/configs/cold-start.toml) that reads other fields, and ranks the cold items only, through the path
that serves. "content only": what is like the history by its content vector (cold-start-content.toml). Beside them:
chance, and the centroid of what a user liked by the TF-IDF of all words.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl
import result

CONFIGS = Path(__file__).parent / "configs"
CONTENT_ONLY = "content only"
NOTHING = {"text": [], "categories": [], "hashed": [], "numbers": [], "image": False}
WORDS = {"text": ["title", "description"]}
EVERYTHING = {**WORDS, "categories": ["categories"], "hashed": ["director", "cast"], "numbers": ["year"], "image": True}
ROWS: dict[str, dict[str, object]] = {
    "text only": {**NOTHING, **WORDS},
    "image only": {**NOTHING, "image": True},
    "image only, no network": {**NOTHING, "image": True, "content.pictures": False},
    "text + image": {**NOTHING, **WORDS, "image": True},
    CONTENT_ONLY: EVERYTHING,
    "hybrid": EVERYTHING,
}
WORD = re.compile(r"\w+")
LIKED = 4.0
SHOWN = 20


def liverec(*arguments: object) -> None:
    subprocess.run([sys.executable, "-m", "liverec", *map(str, arguments)], check=True)


def settings(fields: Mapping[str, object]) -> list[str]:
    keys = {name: name if name.startswith("content.") else f"content.fields.{name}" for name in fields}
    return [word for name, value in fields.items() for word in ("--set", f"{keys[name]}={json.dumps(value)}")]


def ranked(options: argparse.Namespace, bundle: Path, work: Path, *more: str) -> dict[str, float]:
    cold, out = options.data / "cold_items.csv.gz", work / "p.csv"
    histories = ("--histories", options.data / "train.csv.gz")
    liverec("recommend", "--bundle", bundle, *histories, "--only", cold, "--n", SHOWN, "--out", out, *more)
    return judged(options, out)


def judged(options: argparse.Namespace, predictions: Path) -> dict[str, float]:
    words = ("topn", "--set", options.data, "--items", "cold_items.csv.gz", "--predictions", predictions)
    scored = subprocess.run([sys.executable, options.judge, *words], capture_output=True, text=True, check=True)
    measured = json.loads(scored.stdout)
    return {name: measured[name] for name in ("NDCG@10", "HR@10", "Recall@20", "shown_items@10")}


def one_row(options: argparse.Namespace, label: str, fields: Mapping[str, object]) -> dict[str, dict[str, float]]:
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        bundle = (options.out or work) / label.replace(" ", "-")
        if not bundle.exists():
            config = CONFIGS / ("cold-start-content.toml" if label == CONTENT_ONLY else "cold-start.toml")
            given = ("--data", options.data, "--media", options.media, "--config", config)
            liverec("train", *given, "--out", bundle, *settings(fields), "--set", f"seed={options.seed}")
        manifest = json.loads((bundle / "manifest.json").read_text())
        seconds = round(manifest["training_seconds"], 1)
        reranked = manifest["ranker"] is not None
        rows = {label: ranked(options, bundle, work, *(["--retrieved"] if reranked else [])) | {"seconds": seconds}}
        if reranked:
            rows[f"{label}, reranked"] = ranked(options, bundle, work)
        return rows


def table(path: Path) -> pl.DataFrame:
    return pl.read_csv(path, schema_overrides={"item_id": pl.String, "user_id": pl.String})


def by_words(data: Path) -> tuple[list[str], np.ndarray]:
    """Return the ids of all items and their words [N,W], weighed by TF-IDF and at length 1."""
    items = table(data / "items.csv.gz")
    texts = (
        items.drop("item_id", "image").cast(pl.String).select(pl.concat_str(pl.all(), separator=" ", ignore_nulls=True))
    )
    counts = [Counter(WORD.findall(text.lower())) for text in texts.to_series()]
    place = {word: column for column, word in enumerate(sorted({word for each in counts for word in each}))}
    rows = np.zeros((len(counts), len(place)), dtype=np.float32)
    for row, each in enumerate(counts):
        rows[row, [place[word] for word in each]] = [1 + math.log(count) for count in each.values()]
    rows *= np.log((1 + len(rows)) / (1 + (rows > 0).sum(axis=0))) + 1
    return items["item_id"].to_list(), rows / np.linalg.norm(rows, axis=1, keepdims=True)


def baselines(options: argparse.Namespace) -> dict[str, dict[str, float]]:
    train, cold = table(options.data / "train.csv.gz"), table(options.data / "cold_items.csv.gz")["item_id"].to_list()
    users = train["user_id"].unique().sort().to_list()
    item_ids, words = by_words(options.data)
    place, user_place = ({name: row for row, name in enumerate(names)} for names in (item_ids, users))
    likes = np.zeros((len(users), len(item_ids)), dtype=np.float32)
    for user, item in train.filter(pl.col("rating") >= LIKED).select("user_id", "item_id").iter_rows():
        likes[user_place[user], place[item]] = 1.0
    candidates = words[[place[item] for item in cold]]
    random = np.random.default_rng(options.seed)
    scores = {"chance": random.random((len(users), len(cold))), "TF-IDF centroid": likes @ words @ candidates.T}
    return {label: scored(options, users, cold, each) for label, each in scores.items()}


def scored(options: argparse.Namespace, users: list[str], cold: list[str], scores: np.ndarray) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "p.csv"
        best = np.argsort(-scores, axis=1, kind="stable")[:, :SHOWN]
        rows = [(user, cold[item]) for user, row in zip(users, best, strict=True) for item in row]
        pl.DataFrame(rows, ("user_id", "item_id"), orient="row").write_csv(out)
        return judged(options, out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--media", type=Path, required=True)
    parser.add_argument("--judge", type=Path, required=True)
    parser.add_argument("--sentences", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rows", nargs="+", choices=[*ROWS, "hybrid, sentences"])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    wanted = dict(ROWS)
    if options.sentences:
        wanted["hybrid, sentences"] = {**EVERYTHING, "sentence": str(options.sentences)}
    rows: dict[str, object] = {**baselines(options)}
    for label, fields in wanted.items():
        if options.rows is None or label in options.rows:
            rows |= one_row(options, label, fields)
    result.write("cold-start", result.command(), rows, data=options.data.name, seed=options.seed)


if __name__ == "__main__":
    main()
