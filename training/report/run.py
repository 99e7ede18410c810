"""Run: what a report is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.bundle import Bundle
from engine.manifest import Manifest
from training.baselines import Lists
from training.config import TrainingConfig
from training.curve import CurvePoint
from training.evaluation import Evaluation
from training.preparation import Preparation

RETRIEVED = "retrieved"
RERANKED = "reranked"


@dataclass(frozen=True, slots=True)
class Run:
    """One finished training; `lists` are what each stage ("retrieved", "reranked") recommends to the test users."""

    preparation: Preparation
    config: TrainingConfig
    bundle: Bundle
    curve: Sequence[CurvePoint]
    test: Evaluation
    lists: Mapping[str, Lists]

    @property
    def manifest(self) -> Manifest:
        """The manifest, with all that was measured."""
        return self.bundle.manifest

    @property
    def served(self) -> str:
        """The stage whose lists the service answers with."""
        return RERANKED if self.manifest.ranker is not None else RETRIEVED

    def label(self, stage: str) -> str:
        """Name a stage together with its network."""
        section = self.manifest.ranker if stage == RERANKED else self.manifest.sources[0]
        return f"{section.model}, {stage}" if section is not None else stage
