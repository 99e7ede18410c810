"""How good the answers are: train, recommend through the served path, and score beside the baselines.

    python benchmarks/quality.py [--data ml-100k | FOLDER] [--config TOML ...] [--seeds 1 2 3] [--judge PATH/judge.py]
                                 [--set KEY=VALUE ...] [--label NAME] [--out FOLDER_FOR_BUNDLES]

Without --config, benchmarks/configs/<name of the data>.toml is used if it is there. With --judge and a folder with a
given split, an independent scorer reads the prediction files too, and any difference from our own metrics is an error.
With --out the bundles stay, by label and seed, and one that stands already is not trained again. --label, say with
another --set, keeps a result apart from the one that the data gives its name.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import mean

import result

# A script finds its own folder first, and there training.py, which is called as the package is.
sys.path.insert(0, str(Path(__file__).parents[1]))
from training.config import load_config
from training.dataset import open_dataset
from training.preparation import Preparation

CONFIGS = Path(__file__).parent / "configs"
RETRIEVED, RERANKED = ", retrieved", ", reranked"


def liverec(*arguments: object) -> None:
    subprocess.run([sys.executable, "-m", "liverec", *map(str, arguments)], check=True)


def judged(judge: Path, data: Path, bundle: Path, work: Path, *options: str) -> dict[str, float]:
    histories = [part for part in (data / "train.csv.gz", data / "valid.csv.gz") if part.exists()]
    given = [word for path in histories for word in ("--histories", path)]
    liverec("recommend", "--bundle", bundle, *given, "--n", 20, "--out", work / "p.csv", *options)
    command = [sys.executable, judge, "topn", "--set", data, "--predictions", work / "p.csv"]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def one_seed(seed: int, options: argparse.Namespace, configs: list[object]) -> dict[str, dict[str, float]]:
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        bundle = (options.out or work) / f"{options.label}-{seed}"
        if bundle.exists():
            check_same(bundle, seed, options)
        else:
            liverec("train", "--data", options.data, "--out", bundle, *configs, "--set", f"seed={seed}")
        same = ("--data", options.data, "--bundle", bundle, *configs, "--set", f"seed={seed}")
        liverec("evaluate", *same, "--out", work / "table.json")
        rows = json.loads((work / "table.json").read_text())
        manifest = json.loads((bundle / "manifest.json").read_text())
        rows["training"] = {"seconds": round(manifest["training_seconds"], 1), "git_revision": manifest["git_revision"]}
        if options.judge:
            for label in rows:
                if label.endswith((RETRIEVED, RERANKED)):
                    only = ["--retrieved"] if label.endswith(RETRIEVED) else []
                    compare(
                        rows[label], judged(options.judge, Path(options.data), bundle, work, *only), options.metrics
                    )
        return rows


def check_same(bundle: Path, seed: int, options: argparse.Namespace) -> None:
    """Stop if the bundle is of other data or another config."""
    overrides = dict(setting.split("=", 1) for setting in [*options.settings, f"seed={seed}"])
    config = load_config(options.config, overrides)
    preparation = Preparation.of(open_dataset(options.data, cache=Path("var/data")), config)
    if json.loads((bundle / "manifest.json").read_text())["run_digest"] != config.digest(preparation.fingerprint()):
        sys.exit(f"{bundle} is of other data, another config or another version; delete it, or choose another --out")


def compare(ours: dict[str, float], theirs: dict[str, float], metrics: list[str]) -> None:
    for name in metrics:
        if abs(ours[name] - theirs[name]) > 1e-4:
            sys.exit(f"{name}: we measure {ours[name]}, the judge {theirs[name]}")


def summary(runs: list[dict[str, dict[str, float]]], metrics: list[str]) -> dict[str, dict[str, object]]:
    rows: dict[str, dict[str, object]] = {}
    training = [run.pop("training") for run in runs]
    for label in runs[0]:
        rows[label] = {name: round(mean(run[label][name] for run in runs), 4) for name in metrics}
    revisions = sorted({each["git_revision"] for each in training})
    rows["training"] = {"seconds": round(mean(each["seconds"] for each in training), 1), "git_revisions": revisions}
    gains = [gain for run in runs if (gain := gained(run, metrics[0]))]
    if gains:
        rows["reranked / retrieved"] = {
            metrics[0]: round(mean(gains), 3),
            "each seed": [round(gain, 3) for gain in gains],
        }
    return rows


def gained(run: dict[str, dict[str, float]], metric: str) -> float | None:
    reranked = next((row for label, row in run.items() if label.endswith(RERANKED)), None)
    retrieved = next(row for label, row in run.items() if label.endswith(RETRIEVED))
    return reranked[metric] / retrieved[metric] if reranked else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="ml-100k")
    parser.add_argument("--config", type=Path, action="append")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--metrics", nargs="+", default=["NDCG@10", "HR@10"])
    parser.add_argument("--judge", type=Path)
    parser.add_argument("--set", dest="settings", action="append", default=[])
    parser.add_argument("--label")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    name = Path(options.data).name
    own = CONFIGS / f"{name}.toml"
    options.config = options.config or ([own] if own.exists() else [])
    configs = [word for path in options.config for word in ("--config", path)]
    configs += [word for setting in options.settings for word in ("--set", setting)]
    options.label = options.label or name
    runs = [one_seed(seed, options, configs) for seed in options.seeds]
    facts = {
        "data": name,
        "config": [path.name for path in options.config],
        "seeds": options.seeds,
        "judged_independently": options.judge is not None,
    }
    result.write(f"quality-{options.label}", result.command(), summary(runs, options.metrics), **facts)


if __name__ == "__main__":
    main()
