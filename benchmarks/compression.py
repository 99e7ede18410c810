"""What smaller forms of a bundle cost: vectors of fewer bytes, networks of whole numbers, fewer neighbours of an item.

    python benchmarks/compression.py [--bundle bundles/demo] [--data ml-100k] [--cache var/data] [--seed 1]

Each form is written, opened and asked through the same Recommender as the service: NDCG@10 of the validation events, by
which `liverec compress` chooses, and of the test events, which choose nothing; KiB on disk; median milliseconds of a
query, one after the other. `loss` is the share of the whole bundle's NDCG@10 on the same events, in the same run.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import result

sys.path.insert(0, str(Path(__file__).parents[1]))
from liverec.data_options import DataOptions
from training.compression import CompressedForm, Compression
from training.evaluation import Evaluation
from training.preparation import Preparation


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, default=Path("bundles/demo"))
    parser.add_argument("--data", default="ml-100k")
    parser.add_argument("--cache", type=Path, default=Path("var/data"))
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    data = DataOptions(options.data, options.cache, [])
    preparation = Preparation.of(data.dataset(), data.training_config())
    split, known = preparation.split, preparation.known
    rows: dict[str, dict[str, float]] = {}
    sets = {"valid": (split.train, split.valid), "test": (known, split.test)}
    for name, (before, held_out) in sets.items():
        evaluation = Evaluation.of(before, held_out, seed=options.seed)

        def note(form: CompressedForm, name: str = name) -> None:
            row = {f"{name} NDCG@10": round(form.quality, 4), f"{name} loss": round(form.loss, 4)}
            size = {"KiB": round(form.bytes / 1024), "ms": round(form.milliseconds, 2)}
            rows[str(form.form)] = rows.get(str(form.form), size) | row
            print(form.form, row, flush=True)

        Compression(options.bundle, evaluation, 0.0).run(note)
    facts = {"data": options.data.rstrip("/").rpartition("/")[2], "users": len(split.test), "seed": options.seed}
    result.write("compression", result.command(), rows, **facts)


if __name__ == "__main__":
    main()
