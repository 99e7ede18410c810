"""Train a network of RecBole at its defaults; a driver of benchmarks/training.py."""

from __future__ import annotations

import csv
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from epochs import LIST_LENGTH, Epochs, events, options
from recbole.config import Config
from recbole.data import create_dataset
from recbole.data.interaction import Interaction
from recbole.data.utils import get_dataloader
from recbole.sampler import Sampler
from recbole.utils import get_model, get_trainer, init_seed

NETWORKS = {"sasrec": "SASRec", "gru4rec": "GRU4Rec", "multvae": "MultiVAE", "neumf": "NeuMF"}
# All events are for training: what is validated is made here and scored elsewhere, as for every other driver.
SETTINGS = {
    "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
    "eval_args": {"split": {"RS": [1.0]}, "order": "TO", "group_by": "none", "mode": "full"},
    "use_gpu": False,
    "show_progress": False,
}
# The sequential networks have a softmax over all items, for which RecBole wants this said.
SEQUENTIAL = ("sasrec", "gru4rec")
WITHOUT_NEGATIVES = {"train_neg_sample_args": None}
NAME = "events"


def write_atomic(data: Path, folder: Path) -> None:
    (folder / NAME).mkdir()
    with (folder / NAME / f"{NAME}.inter").open("w", newline="") as file:
        writer = csv.writer(file, delimiter="\t")
        writer.writerow(("user_id:token", "item_id:token", "timestamp:float"))
        writer.writerows((each["user_id"], each["item_id"], each["timestamp"]) for each in events(data, "train"))


def config_of(network: str, seed: int, folder: Path) -> Config:
    places = {"data_path": str(folder), "checkpoint_dir": str(folder), "seed": seed}
    negatives = WITHOUT_NEGATIVES if network in SEQUENTIAL else {}
    return Config(NETWORKS[network], NAME, config_dict={**SETTINGS, **negatives, **places})


class Lists:
    """The best items of each user that are not in the user's history."""

    def __init__(self, model: torch.nn.Module, dataset: Any, data: Path) -> None:  # noqa: ANN401
        self._model, self._dataset = model, dataset
        self._users = sorted({event["user_id"] for event in events(data, "valid")})
        items = histories(data)
        self._seen = [torch.from_numpy(dataset.token2id("item_id", items[user])) for user in self._users]
        self._question = self._asked(dataset.config["MAX_ITEM_LIST_LENGTH"])

    def _asked(self, longest: int) -> Interaction:
        newest = [seen[-longest:] for seen in self._seen]
        rows = torch.zeros(len(newest), longest, dtype=torch.int64)
        for row, items in zip(rows, newest, strict=True):
            row[: len(items)] = items
        users = torch.from_numpy(self._dataset.token2id("user_id", self._users))
        return Interaction({"user_id": users, "item_id_list": rows, "item_length": torch.tensor([*map(len, newest)])})

    @torch.no_grad()
    def make(self) -> dict[str, list[str]]:
        self._model.eval()
        scores = self._scores()
        scores[:, 0] = -torch.inf  # the padding
        for row, seen in zip(scores, self._seen, strict=True):
            row[seen] = -torch.inf
        best = self._dataset.id2token("item_id", scores.topk(LIST_LENGTH).indices.numpy())
        return dict(zip(self._users, best.tolist(), strict=True))

    def _scores(self) -> torch.Tensor:
        try:
            scores = self._model.full_sort_predict(self._question)
        except NotImplementedError:
            scores = torch.cat([self._pair_scores(user) for user in self._question["user_id"]])
        return scores.view(len(self._users), -1)

    def _pair_scores(self, user: torch.Tensor) -> torch.Tensor:
        items = torch.arange(self._dataset.item_num)
        return self._model.predict(Interaction({"user_id": user.expand(len(items)), "item_id": items}))


def histories(data: Path) -> dict[str, list[str]]:
    """Return the items of each user, oldest first."""
    found: dict[str, list[str]] = defaultdict(list)
    for event in sorted(events(data, "train"), key=lambda event: float(event["timestamp"])):
        found[event["user_id"]].append(event["item_id"])
    return found


def trained(config: Config, dataset: Any, model: torch.nn.Module, epochs: Epochs) -> Iterator[None]:  # noqa: ANN401
    """Yield after each epoch, with the clock stopped."""
    negatives = config["train_neg_sample_args"]["distribution"] != "none"
    sampler = Sampler("train", dataset).set_phase("train") if negatives else None
    loader = get_dataloader(config, "train")(config, dataset, sampler, shuffle=True)
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
    for epoch in range(config["epochs"]):
        epochs.start()
        trainer._train_epoch(loader, epoch)
        epochs.stop()
        yield


def main() -> None:
    epochs, given = Epochs(), options()
    torch.set_num_threads(given.threads)
    with tempfile.TemporaryDirectory() as name:
        write_atomic(given.data, Path(name))
        config = config_of(given.network, given.seed, Path(name))
        init_seed(config["seed"], config["reproducibility"])
        dataset = create_dataset(config)
        train = dataset.build()[0]
        model = get_model(config["model"])(config, train).to(config["device"])
        lists = Lists(model, dataset, given.data)
        for _ in trained(config, train, model, epochs):
            epochs.report(lists.make())


if __name__ == "__main__":
    main()
