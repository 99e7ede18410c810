"""How well items are ranked that nobody has met: by text, by image, by both, and by all that is known of them.

    python benchmarks/cold_start.py --data ml-small-cold --media FOLDER_WITH_posters [--judge PATH/judge.py]
                                    [--sentences FOLDER_OF_A_MODEL] [--out FOLDER_FOR_BUNDLES]

The data folder has train, test, items, and cold_items.csv.gz: the items that no training event knows. Each row trains a
bundle (benchmarks/configs/cold-start.toml) that reads other fields, and ranks the cold items only, through the path that
serves. Beside them: chance, and the centroid of what a user liked by the TF-IDF of all words.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import result

CONFIG = Path(__file__).parent / "configs" / "cold-start.toml"
NOTHING = {"text": [], "categories": [], "hashed": [], "numbers": [], "image": False}
WORDS = {"text": ["title", "description"]}
EVERYTHING = {**WORDS, "categories": ["categories"], "hashed": ["director", "cast"], "numbers": ["year"], "image": True}
ROWS: dict[str, dict[str, object]] = {
    "text only": {**NOTHING, **WORDS},
    "image only": {**NOTHING, "image": True},
    "text + image": {**NOTHING, **WORDS, "image": True},
    "hybrid": EVERYTHING,
}


def liverec(*arguments: object) -> None:
    subprocess.run([sys.executable, "-m", "liverec", *map(str, arguments)], check=True)


def settings(fields: Mapping[str, object]) -> list[str]:
    return [word for name, value in fields.items() for word in ("--set", f"content.fields.{name}={json.dumps(value)}")]


def ranked(options: argparse.Namespace, bundle: Path, work: Path, *more: str) -> dict[str, float]:
    cold, out = options.data / "cold_items.csv.gz", work / "p.csv"
    histories = ("--histories", options.data / "train.csv.gz")
    liverec("recommend", "--bundle", bundle, *histories, "--only", cold, "--n", 20, "--out", out, *more)
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
            given = ("--data", options.data, "--media", options.media, "--config", CONFIG)
            liverec("train", *given, "--out", bundle, *settings(fields), "--set", f"seed={options.seed}")
        manifest = json.loads((bundle / "manifest.json").read_text())
        seconds = round(manifest["training_seconds"], 1)
        reranked = manifest["ranker"] is not None
        rows = {label: ranked(options, bundle, work, *(["--retrieved"] if reranked else [])) | {"seconds": seconds}}
        if reranked:
            rows[f"{label}, reranked"] = ranked(options, bundle, work)
        return rows


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
    rows: dict[str, object] = {}
    for label, fields in wanted.items():
        if options.rows is None or label in options.rows:
            rows |= one_row(options, label, fields)
    result.write("cold-start", result.command(), rows, data=options.data.name, seed=options.seed)


if __name__ == "__main__":
    main()
