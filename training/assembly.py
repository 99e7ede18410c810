"""Assembly: trained networks and counted statistics become a bundle with its manifest and probe."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import numpy as np
from torch import nn

from engine.bundle import Bundle
from engine.bundle_layout import RATINGS
from engine.bundled_content import BundledContent
from engine.encoded_network import EncodedNetwork
from engine.encoder import NetworkEncoder
from engine.events import Event, History
from engine.features import tables_of
from engine.index_plan import EXACT_UP_TO
from engine.items import ItemTable
from engine.manifest import ContentSection, DataSection, Manifest, RankerSection, RatingSection, SourceSection
from engine.neighbours import NeighbourTable
from engine.probe import Probe
from engine.ratings import REFINER_FEATURES
from engine.recommender import Recommender
from engine.runtime import Network
from engine.vector_table import VectorType
from models import RankerNetwork, UserEncoder
from training.baselines import Lists
from training.config import TrainingConfig
from training.content_pipeline import LearnedContent
from training.curve import CurvePoint, curves_json
from training.evaluation import Evaluation
from training.export import export_encoder, export_ranker
from training.interactions import histories_of
from training.item_statistics import ItemStatistics
from training.metrics import ranking_metrics
from training.preparation import Preparation
from training.rating_evaluation import RatingEvaluation
from training.rating_pipeline import TrainedRatings
from training.ratings_config import BIAS
from training.report.curve_drawing import curves_png
from training.report.files import report_files
from training.report.run import RERANKED, RETRIEVED, Run
from training.retriever_config import RetrieverConfig
from training.source_index import source_index, user_vectors
from training.torch_stages import item_vectors

Say = Callable[[str], None]
PROBED_USERS = 48
LIBRARIES = ("torch", "numpy", "onnx", "onnxruntime", "faiss-cpu", "polars", "pydantic")


@dataclass(frozen=True, slots=True)
class TrainedStages:
    """What training gives: networks, what validation measured of them, and how they learned."""

    statistics: ItemStatistics
    encoders: Mapping[str, UserEncoder]
    """The network of each trained source, by the source's name."""
    ranker: RankerNetwork | None
    ratings: TrainedRatings | None
    metrics: dict[str, dict[str, float]]
    curve: list[CurvePoint]
    seconds: float
    run_digest: str
    refitted: bool = False
    """Whether encoders, ratings and statistics are of train and valid."""
    content: LearnedContent | None = None
    attachments: Mapping[str, bytes] = field(default_factory=dict)


class Assembly:
    """Makes the bundle of one training."""

    def __init__(
        self, preparation: Preparation, config: TrainingConfig, stages: TrainedStages, say: Say | None = None
    ) -> None:
        """Take what was trained; `say` is told what a person should know."""
        self._say = say
        self._preparation = preparation
        self._config = config
        self._stages = stages

    def bundle(self) -> Bundle:
        """Export the networks, record the probe, and measure the test events once, all on what will be served."""
        stages, statistics = self._stages, self._stages.statistics
        vocabulary, metadata = self._preparation.vocabulary, self._preparation.metadata
        items = ItemTable(vocabulary, statistics.columns, metadata, self._neighbours())
        trained = {each.source_name for each in self._sources} & stages.encoders.keys()
        encoded = {name: self._encoded(name, items) for name in sorted(trained)}
        if stages.ratings is not None:
            encoded[RATINGS] = _encoded_ratings(stages.ratings, self._config.index.vectors)
        ranker = None
        if stages.ranker is not None:
            width = encoded[self._config.retriever.source_name].vectors.outputs.shape[1]
            ranker = export_ranker(stages.ranker, width, len(self._config.ranker_features))
        attachments = {"curves.json": curves_json(stages.curve)}
        # Sources that are counted learn nothing.
        if stages.curve:
            attachments["curves.png"] = curves_png(stages.curve, self._config.metric)
        attachments |= {
            f"cleaning_{part}.json": report.to_json().encode() for part, report in self._preparation.reports.items()
        }
        attachments |= stages.attachments
        content = self._content({name: stages.encoders[name] for name in sorted(trained)})
        bundle = Bundle(self._manifest(), items, encoded, ranker, Probe(()), attachments, content)
        return self._proven(bundle)

    def _encoded(self, name: str, items: ItemTable) -> EncodedNetwork:
        network, preparation, config = self._stages.encoders[name], self._preparation, self._config
        encoder, vectors, users = export_encoder(network), item_vectors(network).stored_as(config.index.vectors), None
        # An exact index needs no tuning.
        if len(items.vocabulary) > EXACT_UP_TO or config.index.kind != "auto":
            reader = NetworkEncoder(Network(encoder, name))
            users = user_vectors(preparation, preparation.window, items, vectors, reader, config.seed)
        index, said = source_index(name, vectors, users, config.index, config.seed)
        if said and self._say is not None:
            self._say(said)
        return EncodedNetwork(encoder, vectors, index)

    def _content(self, encoders: Mapping[str, UserEncoder]) -> BundledContent | None:
        learned = self._stages.content
        return None if learned is None else learned.bundled(self._preparation, encoders, self._config)

    def _neighbours(self) -> dict[str, NeighbourTable]:
        """Return the tables that something reads; those of a ranker that was dropped are left out."""
        read = {each.model for each in self._sources if each.kind == "neighbours"}
        if self._stages.ranker is not None:
            read |= tables_of(self._config.ranker_features)
        return {name: table for name, table in self._stages.statistics.neighbours.items() if name in read}

    def _proven(self, bundle: Bundle) -> Bundle:
        recommender = bundle.recommender()
        metrics = dict(bundle.manifest.metrics)
        test = Evaluation.of(self._preparation.known, self._preparation.split.test)
        lists = _stage_lists(test, recommender, has_ranker=bundle.ranker is not None)
        metrics |= {f"test {stage}": ranking_metrics(each, test.wanted) for stage, each in lists.items()}
        if recommender.ratings is not None:
            known, vocabulary = self._preparation.known, self._preparation.vocabulary
            held_out = RatingEvaluation.of(known, self._preparation.split.test, vocabulary)
            if len(held_out):
                metrics["test ratings"] = held_out.measure(recommender.ratings)
        probe = Probe.record(recommender, self._probe_histories())
        proven = replace(bundle, manifest=bundle.manifest.model_copy(update={"metrics": metrics}), probe=probe)
        return self._reported(proven, test, lists) if self._config.report else proven

    def _reported(self, proven: Bundle, test: Evaluation, lists: Mapping[str, Lists]) -> Bundle:
        run = Run(self._preparation, self._config, proven, self._stages.curve, test, lists)
        return replace(proven, attachments={**proven.attachments, **report_files(run)})

    def _probe_histories(self) -> list[History]:
        known = self._preparation.known
        user_ids = known["user_id"].unique().sort().to_list()
        drawn = np.random.default_rng(self._config.seed).permutation(len(user_ids))[:PROBED_USERS]
        stranger = Event("probe", "\N{NULL} an item that no catalogue has", "rating", None, 0.0)
        histories = histories_of(known, [user_ids[index] for index in sorted(drawn)])
        return [*histories, History(), History((stranger,))]

    @property
    def _sources(self) -> Sequence[RetrieverConfig]:
        # Only a ranker can make something of what further sources propose.
        return self._config.retrievers if self._stages.ranker is not None else self._config.retrievers[:1]

    def _manifest(self) -> Manifest:
        preparation, config, stages = self._preparation, self._config, self._stages
        statistics = stages.statistics
        return Manifest(
            created_at=datetime.now(UTC).isoformat(timespec="seconds"),
            liverec_version=metadata.version("liverec"),
            git_revision=_git_revision(),
            libraries={name: metadata.version(name) for name in LIBRARIES},
            seed=config.seed,
            window=preparation.window,
            data=self._data(),
            sources=[self._source_section(each) for each in self._sources],
            ranker=self._ranker_section(stages.ranker) if stages.ranker is not None else None,
            ratings=self._rating_section(),
            content=self._content_section(),
            vocabulary_digest=preparation.vocabulary.digest(),
            item_columns=sorted(statistics.columns),
            neighbour_tables=sorted(self._neighbours()),
            metrics=stages.metrics,
            refit=stages.refitted,
            precision=config.precision,
            run_digest=stages.run_digest,
            training_seconds=round(stages.seconds, 1),
            files={},
        )

    def _ranker_section(self, network: RankerNetwork) -> RankerSection:
        ranker = self._config.ranker
        return RankerSection(
            model=ranker.model,
            config=ranker.model_dump(mode="json"),
            features=list(self._config.ranker_features),
            parameters=_parameters(network),
        )

    def _rating_section(self) -> RatingSection | None:
        mean, trained, ratings = self._stages.statistics.rating_mean, self._stages.ratings, self._config.ratings
        if mean is None:
            return None
        return RatingSection(
            mean=mean,
            shrinkage=self._config.rating_shrinkage,
            model=BIAS if trained is None else ratings.model,
            config={} if trained is None else ratings.model_dump(mode="json"),
            max_length=ratings.max_length,
            has_refiner=trained is not None and trained.refiner is not None,
            parameters=0 if trained is None else _parameters(trained.network),
        )

    def _content_section(self) -> ContentSection | None:
        if self._stages.content is None:
            return None
        trained = self._stages.content.trained
        return ContentSection(
            spec=trained.features.spec,
            config=self._config.content.model_dump(mode="json"),
            parameters=trained.network.parameter_count,
            score=trained.score,
        )

    def _source_section(self, config: RetrieverConfig) -> SourceSection:
        network = self._stages.encoders.get(config.source_name)
        return SourceSection(
            name=config.source_name,
            model=config.model,
            kind=config.kind,
            config=config.model_dump(mode="json"),
            depth=config.depth,
            parameters=0 if network is None else _parameters(network),
        )

    def _data(self) -> DataSection:
        events, users = self._preparation.train_size
        if self._stages.refitted:
            events, users = len(self._preparation.known), self._preparation.known["user_id"].n_unique()
        return DataSection(
            name=self._preparation.name,
            protocol=self._preparation.split.protocol,
            events=events,
            users=users,
            items=len(self._preparation.vocabulary),
            digest=self._preparation.digest(),
            cleaning=self._config.cleaning.model_dump(mode="json"),
        )


def _stage_lists(test: Evaluation, recommender: Recommender, *, has_ranker: bool) -> dict[str, Lists]:
    """Return what each stage recommends to the test users: nothing without any."""
    stages = {RETRIEVED: recommender.without_ranker()} | ({RERANKED: recommender} if has_ranker else {})
    return {stage: test.lists(each) for stage, each in stages.items()} if len(test) else {}


def _encoded_ratings(ratings: TrainedRatings, kind: VectorType) -> EncodedNetwork:
    vectors, refiner = item_vectors(ratings.network).stored_as(kind), None
    if ratings.refiner is not None:
        refiner = export_ranker(ratings.refiner, vectors.outputs.shape[1], len(REFINER_FEATURES))
    return EncodedNetwork(export_encoder(ratings.network), vectors, refiner=refiner)


def _parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def _git_revision() -> str:
    """Return the commit of the sources, or "unknown" where they are no checkout."""
    folder = Path(__file__).resolve().parent
    try:
        found = subprocess.run(  # nosec B603 B607 # the git of whoever trains, no shell
            ["git", "-C", str(folder), "rev-parse", "HEAD"],  # noqa: S607
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return found.stdout.strip()
