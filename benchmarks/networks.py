"""Every network of configs/ on one split, alone and behind rankers: quality with intervals, seconds, size, speed.

    python benchmarks/networks.py --data FOLDER [--seed 1] [--out FOLDER_FOR_BUNDLES]

With --out the bundles stay, and a run that was stopped goes on. The picture is benchmarks/results/networks-<data>.png.
"neumf" is NCF with all items as candidates; "ncf", "target_attention" and "blend" are whole pipelines.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import result

# A script finds its own folder first, and there training.py, which is called as the package is.
sys.path.insert(0, str(Path(__file__).parents[1]))
from training.selection import recommended

CONFIGS = Path(__file__).parent.parent / "configs"
OWN = Path(__file__).parent / "configs"
PIPELINES = (OWN / "neumf.toml", *(CONFIGS / f"{name}.toml" for name in ("ncf", "target_attention", "blend")))
WITHOUT_RANKER = '\n[ranker]\nmodel = "none"\n'
SHOWN = ("NDCG@10", "HR@10")


def compared(data: str, seed: int, folder: Path) -> dict[str, dict[str, object]]:
    files = [*(alone(name, folder) for name in recommended()), *PIPELINES]
    configs = [word for path in files for word in ("--config", path)]
    settings = ("ratings.model=bias", "report=false", f"seed={seed}")
    chosen = [word for setting in settings for word in ("--set", setting)]
    command = [sys.executable, "-m", "liverec", "compare", "--data", data, "--out", folder, *configs, *chosen]
    subprocess.run([str(word) for word in command], check=True)
    return json.loads((folder / "comparison.json").read_text())["rows"]


def alone(name: str, folder: Path) -> Path:
    """Write the network's config without a ranker, and return the file."""
    path = folder / "configs" / f"{name}.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text((CONFIGS / f"{name}.toml").read_text() + WITHOUT_RANKER)
    return path


def summary(row: dict[str, dict[str, float]]) -> dict[str, object]:
    means = {name: round(row["means"][name], 4) for name in SHOWN}
    interval = [round(end, 4) for end in row["intervals"]["NDCG@10"]]
    validation = {} if row["validation"] is None else {"validation NDCG@10": round(row["validation"], 4)}
    costs = {name: row[name] for name in ("seconds", "parameters", "bytes", "microseconds") if row[name] is not None}
    return {**means, "interval": interval, **validation, **costs}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="ml-100k")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    name = Path(options.data).name
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.out or Path(temporary)
        rows = compared(options.data, options.seed, folder)
        result.RESULTS.mkdir(exist_ok=True)
        shutil.copy(folder / "comparison.png", result.RESULTS / f"networks-{name}.png")
    shown = {label: summary(row) for label, row in rows.items()}
    result.write(f"networks-{name}", result.command(), shown, data=name, seed=options.seed)


if __name__ == "__main__":
    main()
