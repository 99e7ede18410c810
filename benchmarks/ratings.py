"""How well ratings are predicted: train on each fold of MovieLens 100K, predict the other part through the served path.

    python benchmarks/ratings.py --data FOLDER_WITH_u1.base [--folds 1 2 3 4 5] [--seeds 1] [--judge PATH/judge.py]
                                 [--models bias rating_factorisation] [--others item_autorec user_autorec gru4rec ncf]

The --others are trained on the first of the folds only. FOLDER is GroupLens' unpacked ml-100k. With --judge, an
independent scorer reads the predictions too, and any difference from our own numbers is an error. Only u1 is free of
what hyper-parameters were chosen on: a validation part of u1.base, which overlaps the test parts of the other folds.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import mean

import result

CONFIG = Path(__file__).parent / "configs" / "ratings.toml"
AUTOREC = {
    "model": "autoencoder",
    "epochs": 60,
    "patience": 10,
    "learning_rate": 5e-3,
    "network.width": 64,
    "network.normalise": "mean",
}
MODELS = {
    "bias": {"model": "bias"},
    "rating_factorisation": {},
    "item_autorec": {**AUTOREC, "orientation": "item", "fold_in": 0.3, "network.activation": "identity"},
    "user_autorec": AUTOREC,
    "gru4rec": {"model": "gru4rec", "objective": "next_event", "epochs": 10, "events_per_batch": 1_500},
    "ncf": {"refiner.model": "ncf", "refiner.keep": "always"},
}
"""What each row sets under [ratings]."""


def liverec(*arguments: object) -> None:
    subprocess.run([sys.executable, "-m", "liverec", *map(str, arguments)], check=True)


def one_fold(fold: Path, model: str, seed: int, judge: Path | None) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        started = time.perf_counter()
        chosen = {"ratings.keep": "always"} | {f"ratings.{key}": value for key, value in MODELS[model].items()}
        settings = [word for key, value in chosen.items() for word in ("--set", f"{key}={value}")]
        same = ("--config", CONFIG, *settings, "--set", f"seed={seed}")
        liverec("train", "--data", fold, "--out", work / "b", *same)
        seconds = time.perf_counter() - started
        measured = json.loads((work / "b" / "manifest.json").read_text())["metrics"]["test ratings"]
        if judge:
            compare(measured, judged(judge, fold, work))
        return {**measured, "seconds": round(seconds, 1)}


def judged(judge: Path, fold: Path, work: Path) -> dict[str, float]:
    histories, truth, pairs = work / "histories.csv", work / "truth.csv", work / "pairs.csv"
    rewrite(fold, histories)
    rewrite(fold.with_suffix(".test"), truth)
    rewrite(fold.with_suffix(".test"), pairs)
    liverec("recommend", "--bundle", work / "b", "--histories", histories, "--pairs", pairs, "--out", work / "p.csv")
    command = [sys.executable, judge, "ratings", "--truth", truth, "--predictions", work / "p.csv"]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def rewrite(source: Path, target: Path) -> None:
    with source.open() as lines, target.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("user_id", "item_id", "rating", "timestamp"))
        writer.writerows(csv.reader(lines, delimiter="\t"))


def compare(ours: dict[str, float], theirs: dict[str, float]) -> None:
    for name in ("RMSE", "MAE"):
        if abs(ours[name] - theirs[name]) > 1e-4:
            sys.exit(f"{name}: we measure {ours[name]}, the judge {theirs[name]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--folds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--models", nargs="*", default=["bias", "rating_factorisation"], choices=MODELS)
    parser.add_argument("--others", nargs="*", default=list(MODELS)[2:], choices=MODELS)
    parser.add_argument("--judge", type=Path)
    options = parser.parse_args()
    rows: dict[str, object] = {}
    for model in (*options.models, *options.others):
        folds = options.folds if model in options.models else options.folds[:1]
        runs = {
            f"u{fold}": [one_fold(options.data / f"u{fold}.base", model, seed, options.judge) for seed in options.seeds]
            for fold in folds
        }
        means = {
            fold: {name: round(mean(run[name] for run in each), 4) for name in each[0]} for fold, each in runs.items()
        }
        rows |= {f"{model}, {fold}": row for fold, row in means.items()}
        if len(folds) > 1:
            rows[f"{model}, mean"] = {
                name: round(mean(row[name] for row in means.values()), 4) for name in ("RMSE", "MAE")
            }
    facts = {"data": "ml-100k", "seeds": options.seeds, "judged_independently": options.judge is not None}
    result.write("ratings-ml-100k", result.command(), rows, **facts)


if __name__ == "__main__":
    main()
