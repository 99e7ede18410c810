"""Train RecTools' SASRec at its defaults, but 64 dimensions and length 50; a driver of benchmarks/training.py."""

from __future__ import annotations

from typing import Any

import pandas as pd
import torch
from epochs import LIST_LENGTH, Epochs, events, options
from pytorch_lightning import Trainer, seed_everything
from pytorch_lightning.callbacks import LambdaCallback
from rectools.dataset import Dataset
from rectools.models import SASRecModel

SIZE = {"n_factors": 64, "n_blocks": 2, "session_max_len": 50}
MOST_EPOCHS = 10_000


def dataset_of(rows: pd.DataFrame) -> Dataset:
    seconds = pd.to_datetime(rows["timestamp"].astype(float), unit="s")
    return Dataset.construct(rows[["user_id", "item_id"]].assign(weight=1.0, datetime=seconds))


def lists(model: SASRecModel, dataset: Dataset, users: list[str]) -> dict[str, list[str]]:
    model.is_fitted = True  # So it is after each epoch, but the library says so only after the last.
    answers = model.recommend(users, dataset, k=LIST_LENGTH, filter_viewed=True)
    model.lightning_model.train()
    return answers.sort_values("rank").groupby("user_id")["item_id"].agg(list).to_dict()


def main() -> None:
    epochs, given = Epochs(), options()
    torch.set_num_threads(given.threads)
    seed_everything(given.seed)
    dataset = dataset_of(pd.DataFrame(events(given.data, "train")))
    users = sorted({event["user_id"] for event in events(given.data, "valid")})

    def finish(*_: Any) -> None:  # noqa: ANN401 (the trainer and its module)
        epochs.stop()
        epochs.report(lists(model, dataset, users))

    # One call of fit, as a second one would begin with a new optimiser.
    clock = LambdaCallback(on_train_epoch_start=lambda *_: epochs.start(), on_train_epoch_end=finish)
    model = SASRecModel(**SIZE, get_trainer_func=lambda: trainer(clock))
    model.fit(dataset)


def trainer(clock: LambdaCallback) -> Trainer:
    quiet: dict[str, bool] = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    return Trainer(max_epochs=MOST_EPOCHS, enable_checkpointing=False, devices=1, callbacks=[clock], **quiet)


if __name__ == "__main__":
    main()
