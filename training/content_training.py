"""ContentTraining: a content network learns where in the space of who likes what an item stands."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from engine.content_features import PRESENT, ContentFeatures
from engine.errors import DataError
from engine.item_content import ItemContent
from models.content_network import (
    BagPart,
    ContentNetwork,
    ContentPart,
    DeepPart,
    DensePart,
    NumberPart,
    StatisticsPart,
    array_of,
)
from models.picture_network import PictureNetwork
from models.picture_statistics import PictureStatistics
from training.collaborative_space import CollaborativeSpace
from training.content_config import TEXTS, ContentConfig
from training.curve import CurvePoint
from training.deep_content import DeepContent
from training.fit import Stage
from training.item_contents import MEDIA
from training.rehearsal import Choice, Rehearsal
from training.ridge import Ridge, left_out

PICTURES = ("image", "audio")
LOT = 512
SMALLEST = 1e-6
Say = Callable[[str], None]
Arrays = Mapping[str, Tensor]
Rows = Mapping[str, Callable[[], Tensor]]


@dataclass(frozen=True, slots=True)
class TrainedContent:
    """The network with the features that it reads; `honest` [N,V]: what it would say of each training item if it had
    not learned from it."""

    features: ContentFeatures
    network: ContentNetwork
    honest: Tensor
    score: float
    """NDCG@10 of held-out items among themselves (Rehearsal)."""
    curve: list[CurvePoint]
    readable: Tensor
    """Which training items [N] have any content."""

    @torch.no_grad()
    def of(self, items: Sequence[ItemContent]) -> Tensor:
        """Return the content vectors of any items [B,V]."""
        none = torch.zeros(0, len(self.network.mean))
        lots = _lots(self.features, items)
        return torch.cat([none, *(self.network(*(lot[name] for name in self.network.inputs)) for lot in lots)])


class ContentTraining:
    """Trains the content network of one run."""

    def __init__(self, config: ContentConfig, make_stage: Callable[[str], Stage], say: Say) -> None:
        self._config = config
        self._make_stage = make_stage
        self._say = say

    def run(self, features: ContentFeatures, items: Sequence[ItemContent], space: CollaborativeSpace) -> TrainedContent:
        """Learn from items whose places in the space are known, in that order."""
        arrays = _joined(_lots(features, items))
        columns = {name: column for column, name in enumerate(features.part_names)}
        present = {name: arrays[PRESENT][:, column] > 0 for name, column in columns.items()}
        rehearsal = Rehearsal(space, self._config.folds)
        wide = self._wide_parts(features, arrays, present)
        deep, honest, curve = self._deep_parts(
            features, arrays, present, DeepContent(self._config, space, rehearsal, self._make_stage)
        )
        network = ContentNetwork(wide | deep, columns, self._config.width)
        rows = _rows(network, arrays, present, honest)
        choice = self._choice(rows, space)
        unmet = self._solve(network, rows, space, choice)
        self._say(
            f"content: NDCG@10 of unknown items {choice.score:.4f} with penalty {choice.penalty:g}, parts"
            f" {', '.join(f'{name} {choice.part_weights.get(name, 1.0):g}' for name in network.names)}"
        )
        return TrainedContent(features, network.eval(), unmet, choice.score, curve, arrays[PRESENT].any(dim=1))

    def _choice(self, rows: Rows, space: CollaborativeSpace) -> Choice:
        items = _most_popular(space, self._config.rehearsed_items)
        kernels = {name: _kernel(make()[items]) for name, make in rows.items()}
        return Rehearsal(space.only(items), self._config.folds).best(
            kernels, self._config.penalties, self._config.part_weights
        )

    def _solve(self, network: ContentNetwork, rows: Rows, space: CollaborativeSpace, choice: Choice) -> Tensor:
        """Give the network its weights; return what each item [N,V] would get from the others."""
        items = _most_popular(space, self._config.most_items)
        weights = {name: choice.part_weights.get(name, 1.0) for name in rows}
        # One part at a time: the features of all of them would not fit.
        table = sum((weights[name] * _kernel(make()[items]) for name, make in rows.items()), torch.zeros(()))
        targets = space.items[items]
        ridge = Ridge.of(table, targets, choice.penalty)
        network.mean.copy_(ridge.mean)
        unmet = ridge.mean.expand(len(space.items), -1).clone()
        for name, make in rows.items():
            features = make()
            solved = ridge.weights(features[items], weights[name])
            network.part(name).take(solved)
            unmet += features @ solved
        unmet[items] = left_out(table, targets, choice.penalty)
        return unmet

    def _wide_parts(self, features: ContentFeatures, arrays: Arrays, present: Arrays) -> dict[str, ContentPart]:
        width, sizes = self._config.width, features.sizes
        parts: dict[str, ContentPart] = {}
        for name in ("categories", "sentence"):
            if name in sizes:
                parts[name] = DensePart(sizes[name][0], width)
        if "numbers" in sizes:
            parts["numbers"] = NumberPart(sizes["numbers"][0], width)
        bags = {"hashed": features.bucket_count + 1, "tokens": features.vocabulary_size}
        for name, vocabulary in bags.items():
            if name in sizes and (name != "tokens" or self._config.bag_of_words):
                bag = BagPart(vocabulary, width)
                if name == "tokens":
                    bag.weigh(arrays[name])
                parts[name] = bag
        for name in PICTURES:
            if name in sizes:
                pictures = arrays[name][present[name]]
                landmarks = min(self._config.landmarks, len(pictures))
                parts[name] = part = StatisticsPart(PictureStatistics(sizes[name][0]), landmarks, width)
                part.learn(pictures)
        return parts

    def _deep_parts(
        self, features: ContentFeatures, arrays: Arrays, present: Arrays, trainer: DeepContent
    ) -> tuple[dict[str, ContentPart], dict[str, Tensor], list[CurvePoint]]:
        output = self._config.width + 1
        parts: dict[str, ContentPart] = {}
        honest, curve = {}, list[CurvePoint]()
        for name, make in self._deep_networks(features, output).items():
            array = array_of(name)
            if not trainer.can_learn(present[array]):
                self._say(f"content: too few items have {array} for a network to learn from; {name} is left out")
                continue
            read = trainer.run(name, make, arrays[array], present[array])
            part = DeepPart(read.network, output, self._config.width)
            part.typical.copy_(read.honest[present[array]].square().sum(dim=1).mean().sqrt().clamp(min=SMALLEST))
            parts[name], honest[name] = part, read.honest / part.typical
            curve += read.curve
        return parts, honest, curve

    def _deep_networks(self, features: ContentFeatures, output: int) -> dict[str, Callable[[], nn.Module]]:
        config, sizes = self._config, features.sizes
        made: dict[str, Callable[[], nn.Module]] = {}
        if "tokens" in sizes and config.text != "none":
            text: Any = TEXTS[config.text]
            made["tokens.deep"] = functools.partial(text, features.vocabulary_size, output, **config.text_network)
        for name in PICTURES if config.pictures else ():
            if name in sizes:
                channels = sizes[name][0]
                made[f"{name}.deep"] = functools.partial(PictureNetwork, channels, output, **config.picture_network)
        return made


def tensors(features: ContentFeatures, items: Sequence[ItemContent]) -> dict[str, Tensor]:
    """Return the arrays of some items for torch; raises DataError that names the files that cannot be read."""
    try:
        arrays = features.arrays(items)
    except DataError as error:
        raise DataError(f"{_unreadable(features, items)}{error}") from error
    return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}


def _unreadable(features: ContentFeatures, items: Sequence[ItemContent]) -> str:
    """Return what the first item that cannot be read calls its files, to stand before what is wrong with them."""
    for item in items:
        try:
            features.arrays([item])
        except DataError:
            names = [str(item.metadata[kind]) for kind in MEDIA if item.metadata.get(kind)]
            return f"{' or '.join(names)}: " if names else ""
    return ""


def _lots(features: ContentFeatures, items: Sequence[ItemContent]) -> Iterator[dict[str, Tensor]]:
    return (tensors(features, items[start : start + LOT]) for start in range(0, len(items), LOT))


def _joined(lots: Iterable[Arrays]) -> dict[str, Tensor]:
    listed = list(lots)
    return {name: torch.cat([lot[name] for lot in listed]) for name in listed[0]}


def _rows(
    network: ContentNetwork, arrays: Arrays, present: Arrays, honest: Mapping[str, Tensor]
) -> dict[str, Callable[[], Tensor]]:
    """Return what makes the features [N,F] of each part, zeros where an item lacks it."""

    def make(name: str) -> Tensor:
        array = array_of(name)
        if name in honest:
            return honest[name]
        with torch.no_grad():
            lots = [network.part(name).features(lot) for lot in torch.split(arrays[array], LOT)]
        return torch.cat(lots) * present[array][:, None]

    return {name: functools.partial(make, name) for name in network.names}


def _kernel(features: Tensor) -> Tensor:
    return features @ features.T


def _most_popular(space: CollaborativeSpace, most: int) -> Tensor:
    return space.starts.diff().argsort(descending=True, stable=True)[:most].sort().values
