"""What a list's variety costs: intra-list distance against NDCG@10, for several values of `diversity`.

    python benchmarks/diversity.py --bundle BUNDLE --data FOLDER [--users 2000] [--part test] [--seed 1]

FOLDER has train, valid and test as CSV (see benchmarks/quality.py); the bundle was trained on it. Distances are 1 - the
cosine of what the first network reads of two items, mean over all pairs of a list; as a second opinion, 1 - the share
of categories that two items have in common, or where the data names none, the share of pairs that are no neighbours in
the table of what is met together.
"""

from __future__ import annotations

import argparse
import random
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import polars as pl
import result

sys.path.insert(0, str(Path(__file__).parents[1]))
from engine.bundle import Bundle
from engine.query import Query
from engine.recommender import Recommender
from training.dataset import open_dataset
from training.interactions import histories_of

DIVERSITIES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
N = 10


def distance(recommender: Recommender, item_ids: list[str]) -> float:
    vectors = recommender.catalogue.likeness.units_of(recommender.items.vocabulary.indices_of(item_ids))
    cosines = (vectors @ vectors.T)[np.triu_indices(len(vectors), 1)]
    return float(1.0 - cosines.mean())


def apart(recommender: Recommender, item_ids: list[str], categories: bool) -> float:
    """Return how many of the pairs share no category, or are no neighbours in a table of what is met together."""
    items = recommender.items
    indices = items.vocabulary.indices_of(item_ids).tolist()
    if categories:
        kinds = [set(items.metadata_of(index).get("categories", ())) for index in indices]
        shared = [len(one & other) / max(len(one | other), 1) for at, one in enumerate(kinds) for other in kinds[:at]]
        return 1.0 - float(np.mean(shared))
    table = items.neighbours["cooccurrence"].indices
    return float(np.mean([other not in table[one] for at, one in enumerate(indices) for other in indices[:at]]))


def row(recommender: Recommender, queries: list[Query], wanted: list[str]) -> dict[str, float]:
    answers = [[item.item_id for item in answer.items] for answer in recommender.recommend(queries)]
    places = [answer.index(item) if item in answer else None for answer, item in zip(answers, wanted, strict=True)]
    has_categories = "categories" in recommender.items.metadata_of(0)
    return {
        "NDCG@10": round(float(np.mean([0.0 if at is None else 1 / np.log2(at + 2) for at in places])), 4),
        "intra-list distance": round(float(np.mean([distance(recommender, answer) for answer in answers])), 4),
        "of categories" if has_categories else "of neighbours": round(
            float(np.mean([apart(recommender, answer, has_categories) for answer in answers])), 4
        ),
        "items in all lists": len({item for answer in answers for item in answer}),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--part", choices=("valid", "test"), default="test")
    parser.add_argument("--users", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    parts = {name: frame.collect() for name, frame in open_dataset(options.data, cache=Path("var/data")).parts.items()}
    known = ["train"] if options.part == "valid" else ["train", "valid"]
    wanted = dict(parts[options.part].select("user_id", "item_id").iter_rows())
    users = random.Random(options.seed).sample(sorted(wanted), min(options.users, len(wanted)))
    histories = histories_of(pl.concat([parts[name] for name in known]), users)
    recommender = Bundle.open(options.bundle).recommender()
    rows = {}
    for diversity in DIVERSITIES:
        queries = [Query(history, N, diversity=diversity) for history in histories]
        rows[f"diversity {diversity}"] = row(recommender, queries, [wanted[user] for user in users])
        print(diversity, rows[f"diversity {diversity}"], flush=True)
    plain = rows["diversity 0.0"]
    for each in rows.values():
        each["NDCG@10 kept"] = round(each["NDCG@10"] / plain["NDCG@10"], 3)
        each["distance gained"] = round(each["intra-list distance"] / plain["intra-list distance"] - 1, 3)
    if options.part == "test":
        facts = {"users": len(users), "seed": options.seed, "data": options.data.name}
        chart(result.write("diversity", result.command(), rows, **facts), rows)


def chart(path: Path, rows: dict[str, dict[str, float]]) -> None:
    """Draw NDCG@10 against distance, one point for each value of diversity."""
    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    xs = [each["intra-list distance"] for each in rows.values()]
    axes.plot(xs, [each["NDCG@10"] for each in rows.values()], marker="o")
    for name, each in rows.items():
        axes.annotate(name.split()[1], (each["intra-list distance"], each["NDCG@10"]), fontsize=8)
    axes.set_xlabel("intra-list distance")
    axes.set_ylabel("NDCG@10")
    figure.savefig(path.with_suffix(".svg"))


if __name__ == "__main__":
    main()
