"""How good the answers are: train, recommend through the served path, and score beside popularity and EASE.

    python benchmarks/quality.py [--data ml-100k | FOLDER] [--seeds 1 2 3] [--judge PATH/judge.py]

With --judge and a folder with a given split, an independent scorer reads the prediction files too, and any difference
from our own metrics is an error.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import mean

import result

SHOWN = ("NDCG@10", "HR@10")


def liverec(*arguments: object) -> None:
    subprocess.run([sys.executable, "-m", "liverec", *map(str, arguments)], check=True)


def judged(judge: Path, data: Path, bundle: Path, work: Path, *options: str) -> dict[str, float]:
    histories = [part for part in (data / "train.csv.gz", data / "valid.csv.gz") if part.exists()]
    given = [word for path in histories for word in ("--histories", path)]
    liverec("recommend", "--bundle", bundle, *given, "--n", 20, "--out", work / "p.csv", *options)
    command = [sys.executable, judge, "topn", "--set", data, "--predictions", work / "p.csv"]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def one_seed(seed: int, data: str, judge: Path | None) -> dict[str, dict[str, float]]:
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        started = time.perf_counter()
        liverec("train", "--data", data, "--out", work / "b", "--set", f"seed={seed}")
        seconds = time.perf_counter() - started
        same = ("--data", data, "--bundle", work / "b", "--set", f"seed={seed}", "--out", work / "table.json")
        liverec("evaluate", *same)
        rows = json.loads((work / "table.json").read_text())
        rows["training"] = {"seconds": round(seconds, 1)}
        if judge:
            for label, options in (("sasrec, retrieved", ["--retrieved"]), ("ncf, reranked", [])):
                if label in rows:
                    compare(rows[label], judged(judge, Path(data), work / "b", work, *options))
        return rows


def compare(ours: dict[str, float], theirs: dict[str, float]) -> None:
    for name in SHOWN:
        if abs(ours[name] - theirs[name]) > 1e-4:
            sys.exit(f"{name}: we measure {ours[name]}, the judge {theirs[name]}")


def summary(runs: list[dict[str, dict[str, float]]]) -> dict[str, dict[str, object]]:
    rows: dict[str, dict[str, object]] = {}
    for label in runs[0]:
        names = ("seconds",) if label == "training" else SHOWN
        rows[label] = {
            name: round(mean(run[label][name] for run in runs), 4) for name in names if name in runs[0][label]
        }
    gains = [
        run["ncf, reranked"]["NDCG@10"] / run["sasrec, retrieved"]["NDCG@10"] for run in runs if "ncf, reranked" in run
    ]
    if gains:
        rows["reranked / retrieved"] = {
            "NDCG@10": round(mean(gains), 3),
            "each seed": [round(gain, 3) for gain in gains],
        }
        over = mean(run["ncf, reranked"]["NDCG@10"] / run["EASE"]["NDCG@10"] for run in runs)
        rows["reranked / EASE"] = {"NDCG@10": round(over, 3)}
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="ml-100k")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--judge", type=Path)
    options = parser.parse_args()
    runs = [one_seed(seed, options.data, options.judge) for seed in options.seeds]
    name = Path(options.data).name
    command = f"python benchmarks/quality.py --data {name} --seeds {' '.join(map(str, options.seeds))}"
    facts = {"data": name, "seeds": options.seeds, "judged_independently": options.judge is not None}
    result.write(f"quality-{name}", command, summary(runs), **facts)


if __name__ == "__main__":
    main()
