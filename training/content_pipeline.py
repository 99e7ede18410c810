"""ContentPipeline: the content network of one run, and the towers that lead from it to each network of a source."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from engine.bundled_content import BundledContent, Newcomers
from engine.errors import ConfigError
from engine.vocabulary import Vocabulary
from models import UserEncoder
from models.hybrid_encoder import HybridEncoder
from training.collaborative_space import CollaborativeSpace
from training.config import TrainingConfig
from training.content_training import ContentTraining, TrainedContent, tensors
from training.export import export_content, export_tower
from training.feature_learning import learn_features
from training.fit import Stage
from training.interactions import Interactions
from training.preparation import Preparation
from training.sentence_export import export_sentence_model
from training.torch_stages import to_numpy
from training.tower_training import TowerTraining

Say = Callable[[str], None]
Encoders = Mapping[str, UserEncoder]


@dataclass(frozen=True, slots=True)
class LearnedContent:
    """A trained content network, what fits towers to it, and what it says of newcomers (zeros without content)."""

    trained: TrainedContent
    towers: TowerTraining
    newcomers: Newcomers

    @property
    def vectors(self) -> npt.NDArray[np.float32]:
        """Return honest content vectors [N,V] of the known items, zeros for one without content."""
        return to_numpy(self.trained.honest * self.trained.readable[:, None])

    @torch.no_grad()
    def unmet(self, network: UserEncoder) -> tuple[Tensor, Tensor]:
        """Return the vectors [N,D] and [N,E] that the items would have for a network if nobody had met them."""
        inputs, outputs = self.towers.run(network)(self.trained.honest)
        return inputs, outputs

    def hybrid(self, network: UserEncoder, dropout: float) -> HybridEncoder:
        """Return the network as one that meets a share of the items by their content alone."""
        return HybridEncoder(network, *self.unmet(network), dropout)

    def bundled(self, preparation: Preparation, encoders: Encoders, config: TrainingConfig) -> BundledContent:
        """Return what the bundle carries of it."""
        features, network = self.trained.features, self.trained.network
        arrays = tensors(features, preparation.contents[:1])
        sizes = {name: array.shape[1:] for name, array in arrays.items()}
        dtypes = {name: array.dtype for name, array in arrays.items()}
        sentence = config.content.fields.sentence
        return BundledContent(
            features.spec,
            export_content(network, sizes, dtypes),
            self.vectors,
            {name: export_tower(self.towers.run(encoder)) for name, encoder in encoders.items()},
            self.newcomers,
            features.tokenizer,
            export_sentence_model(sentence) if features.spec.sentence is not None and sentence is not None else None,
        )


class ContentPipeline:
    """Reads the items of a preparation and trains the content network on who likes them."""

    def __init__(
        self, preparation: Preparation, config: TrainingConfig, make_stage: Callable[[str], Stage], say: Say
    ) -> None:
        if not len(preparation.contents):
            raise ConfigError(
                f"content.model = {config.content.model!r}: no item of {preparation.name} is described; give a table of"
                " them with --items, or set content.model = 'none'"
            )
        self._preparation = preparation
        self._config = config
        self._make_stage = make_stage
        self._say = say

    def run(self, interactions: Interactions) -> LearnedContent:
        """Train on the events of training."""
        config, items = self._config.content, self._preparation.contents
        if missing := items.missing_media():
            self._say(f"{missing:,} files that items name are not there; those items are read without")
        features = learn_features(config.fields, items, say=self._say)
        if not features.part_names:
            raise ConfigError(f"content.fields: no item of {self._preparation.name} has any of them; name others")
        space = CollaborativeSpace.of(interactions.columns, len(interactions.vocabulary), config.width)
        training = ContentTraining(config, self._make_stage, self._say)
        weights = (1.0 + torch.from_numpy(interactions.popularity)) ** config.tower_power
        trained = training.run(features, items, space)
        towers = TowerTraining(trained.honest, weights, space, interactions, self._preparation.window)
        return LearnedContent(trained, towers, self._newcomers(trained))

    def _newcomers(self, trained: TrainedContent) -> Newcomers:
        # Made before the sources are trained, for what is wrong with their files.
        preparation, contents = self._preparation, self._preparation.newcomer_contents
        readable = torch.tensor([trained.features.has_content(item) for item in contents], dtype=torch.float32)
        vectors = to_numpy(trained.of(contents) * readable[:, None])
        return Newcomers(Vocabulary(preparation.newcomers), preparation.newcomer_metadata, vectors)
