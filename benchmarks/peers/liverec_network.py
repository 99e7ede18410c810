"""Train one of our networks with its file in configs/; a driver of benchmarks/training.py."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import torch
from epochs import LIST_LENGTH, Epochs, options

from engine.items import ItemTable
from engine.recommender import Recommender
from models import UserEncoder
from training.config import TrainingConfig, load_config, read_toml
from training.dataset import open_dataset
from training.evaluation import Evaluation
from training.fit import Stage
from training.interactions import Interactions
from training.item_statistics import ItemStatistics
from training.metrics import ranking_metrics
from training.pipeline import Pipeline
from training.precision import settled
from training.preparation import Preparation
from training.randomness import Randomness
from training.retriever_training import RetrieverTraining, Validate
from training.torch_stages import torch_source

CONFIGS = (Path(__file__).parents[2] / "configs", Path(__file__).parent)
# The learning rate falls over the config's epochs, all of which run; whoever reads the lines may stop sooner.
ALONE = {"ranker.model": "none", "retriever.validate_every": "1", "retriever.patience": "10_000"}


def validator(epochs: Epochs, preparation: Preparation, interactions: Interactions, config: TrainingConfig) -> Validate:
    split = preparation.split
    evaluation = Evaluation.of(split.train, split.valid, config.validation_users, config.seed)
    statistics = ItemStatistics.of(interactions, interactions.columns, config)
    items = ItemTable(preparation.vocabulary, statistics.columns)

    def validate(network: UserEncoder) -> dict[str, float]:
        epochs.stop()
        source = torch_source(network, config.retriever, config.device)
        lists = evaluation.lists(Recommender(items, preparation.window, [source]), LIST_LENGTH)
        epochs.report(dict(zip(evaluation.user_ids, lists, strict=True)))
        metrics = ranking_metrics(lists, evaluation.wanted, [LIST_LENGTH])
        epochs.start()
        return metrics

    return validate


def main() -> None:
    epochs, given = Epochs(), options()
    torch.set_num_threads(given.threads)
    file = next(path for folder in CONFIGS if (path := folder / f"{given.network}.toml").exists())
    has_ranker = "ranker" in read_toml(file)
    asked = {"seed": str(given.seed), "threads": str(given.threads)}
    config = load_config([file], asked if has_ranker else {**ALONE, **asked})
    config = settled(config, lambda why: print(why, file=sys.stderr))
    with tempfile.TemporaryDirectory() as cache:
        preparation = Preparation.of(open_dataset(given.data, cache=Path(cache)), config)
    (train_pipeline if has_ranker else train_network)(epochs, preparation, config)


def train_pipeline(epochs: Epochs, preparation: Preparation, config: TrainingConfig) -> None:
    pipeline = Pipeline(preparation, config, lambda _: None)
    epochs.start()
    learned = pipeline.learn()
    epochs.stop()
    split = preparation.split
    evaluation = Evaluation.of(split.train, split.valid, config.validation_users, config.seed)
    lists = evaluation.lists(pipeline.recommender(learned), LIST_LENGTH)
    epochs.report(dict(zip(evaluation.user_ids, lists, strict=True)))


def train_network(epochs: Epochs, preparation: Preparation, config: TrainingConfig) -> None:
    interactions = Interactions.of(preparation.split.train, preparation.vocabulary, preparation.window)
    validate = validator(epochs, preparation, interactions, config)
    name = config.retriever.source_name
    stage = Stage(name, config.metric, Randomness(config.seed, name))
    training = RetrieverTraining(config, config.retriever, preparation.window, interactions, preparation.metadata)
    epochs.start()
    training.run(interactions.columns, validate, config.retriever.epochs, stage)


if __name__ == "__main__":
    main()
