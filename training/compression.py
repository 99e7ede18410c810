"""Compression: the smallest form of a bundle that answers nearly as well."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np

from engine.bundle import Bundle
from engine.compression_section import CompressionSection
from engine.encoded_network import EncodedNetwork
from engine.errors import ConfigError
from engine.index import VectorIndex
from engine.neighbours import NeighbourTable
from engine.probe import Probe
from engine.query import Query
from engine.recommender import Recommender
from engine.vector_table import VectorType
from training.evaluation import Evaluation
from training.quantisation import int8_network

METRIC = "NDCG@10"
KINDS: tuple[VectorType, ...] = ("float32", "float16", "int8")
NEIGHBOURS: tuple[int | None, ...] = (None, 50, 25)
TIMED_QUERIES, LIST_LENGTH = 200, 10
CARD = "MODEL_CARD.md"


@dataclass(frozen=True, slots=True)
class Form:
    """What a bundle is made of."""

    vectors: VectorType = "float32"
    int8_networks: bool = False
    neighbours: int | None = None

    def leaves_out_no_more_than(self, other: Form) -> bool:
        """Return whether it is as near to the whole bundle as the other form, or nearer, in everything."""
        kept = (self.neighbours is None, self.neighbours or 0) >= (other.neighbours is None, other.neighbours or 0)
        return kept and self.int8_networks <= other.int8_networks and self._rank <= other._rank

    @property
    def _rank(self) -> int:
        return KINDS.index(self.vectors)

    def __str__(self) -> str:
        networks = "int8" if self.int8_networks else "float32"
        return f"{self.vectors} vectors, {networks} networks, {self.neighbours or 'all'} neighbours"


@dataclass(frozen=True, slots=True)
class CompressedForm:
    """A form, and what was measured of it: the share of the metric that is lost, bytes on disk, time of a query."""

    form: Form
    quality: float
    loss: float
    bytes: int
    milliseconds: float


def within(measured: Sequence[CompressedForm], most_loss: float) -> list[CompressedForm]:
    """Return the forms that keep within the loss, as all that leave out less do: one that does by luck is not meant."""
    bad = [each.form for each in measured if each.loss > most_loss]
    return [each for each in measured if not any(form.leaves_out_no_more_than(each.form) for form in bad)]


class Compression:
    """Tries all forms of a bundle on the validation events; what is measured is what is written."""

    def __init__(self, folder: Path, evaluation: Evaluation, most_loss: float) -> None:
        """`most_loss` is a share of NDCG@10, such as 0.003. Raises ConfigError without anything to measure on."""
        if not len(evaluation):
            raise ConfigError("there are no validation events to measure the loss on; split the data so that there are")
        self._folder = folder
        self._whole = Bundle.open(folder)
        self._evaluation = evaluation
        self._most_loss = most_loss
        self._whole_bytes = _size(self._whole)
        self._quality = evaluation.measure(self._whole.recommender())[METRIC]

    def run(self, say: Callable[[CompressedForm], None]) -> tuple[CompressedForm, Bundle] | None:
        """Return the smallest form within the loss with its bundle, not yet written; None if only the whole one is."""
        measured = list[CompressedForm]()
        for form in self._forms():
            measured.append(self._measured(form))
            say(measured[-1])
        best = min(within(measured, self._most_loss), key=lambda each: each.bytes, default=None)
        if best is None or best.form == Form() or best.bytes >= self._whole_bytes:
            return None
        return best, self._bundle(best)

    def _forms(self) -> Iterator[Form]:
        widths = [table.indices.shape[1] for table in self._whole.items.neighbours.values()]
        shorter = [each for each in NEIGHBOURS if each is None or each < max(widths, default=0)]
        for vectors, is_int8, neighbours in product(KINDS, (False, True), shorter):
            yield Form(vectors, is_int8, neighbours)

    def _measured(self, form: Form) -> CompressedForm:
        with tempfile.TemporaryDirectory() as folder:
            # Written and opened: what is measured is what would be served.
            bundle = self._of(form).save(Path(folder) / "bundle")
            recommender = bundle.recommender()
            quality = self._evaluation.measure(recommender)[METRIC]
            took = _milliseconds(recommender, self._evaluation)
            loss = 1 - quality / self._quality if self._quality else 0.0
            return CompressedForm(form, quality, loss, _size(bundle), took)

    def _of(self, form: Form) -> Bundle:
        whole = self._whole
        tables = {name: _shortened(table, form.neighbours) for name, table in whole.items.neighbours.items()}
        encoded = {name: _encoded(each, form, name) for name, each in whole.encoded.items()}
        ranker = whole.ranker
        if ranker is not None and form.int8_networks:
            ranker = int8_network(ranker, "ranker")
        card = self._folder / CARD
        attachments = {CARD: card.read_bytes()} if card.is_file() else {}
        items = replace(whole.items, neighbours=tables)
        bundle = replace(whole, items=items, encoded=encoded, ranker=ranker, attachments=attachments)
        return replace(bundle, probe=self._probed(bundle))

    def _probed(self, bundle: Bundle) -> Probe:
        histories = [each.history for each in self._whole.probe.cases]
        return Probe.record(bundle.recommender(), histories)

    def _bundle(self, chosen: CompressedForm) -> Bundle:
        section = CompressionSection(
            vectors=chosen.form.vectors,
            int8_networks=chosen.form.int8_networks,
            neighbours=chosen.form.neighbours,
            metric=METRIC,
            loss=round(chosen.loss, 6),
            most_loss=self._most_loss,
            whole_bytes=self._whole_bytes,
            whole_version=self._whole.model_version,
        )
        bundle = self._of(chosen.form)
        return replace(bundle, manifest=bundle.manifest.model_copy(update={"compression": section}))


def _encoded(network: EncodedNetwork, form: Form, name: str) -> EncodedNetwork:
    vectors = network.vectors.stored_as(form.vectors) if form.vectors != "float32" else network.vectors
    index = network.index
    if isinstance(index, VectorIndex) and form.vectors != "float32":
        index = VectorIndex.build(np.asarray(vectors.outputs))
    if not form.int8_networks:
        return replace(network, vectors=vectors, index=index)
    refiner = None if network.refiner is None else int8_network(network.refiner, f"{name}, refiner")
    return EncodedNetwork(int8_network(network.encoder, name), vectors, index, refiner)


def _shortened(table: NeighbourTable, most: int | None) -> NeighbourTable:
    """Return a table with the heaviest neighbours of each item, in the order in which they stood."""
    if most is None or table.indices.shape[1] <= most:
        return table
    heaviest = np.argsort(-np.abs(table.weights), axis=1, kind="stable")[:, :most]
    heaviest.sort(axis=1)
    indices, weights = (np.take_along_axis(each, heaviest, axis=1) for each in (table.indices, table.weights))
    return NeighbourTable(indices.astype(np.int32), weights.astype(np.float32))


def _size(bundle: Bundle) -> int:
    return sum(each.bytes for each in bundle.manifest.files.values())


def _milliseconds(recommender: Recommender, evaluation: Evaluation) -> float:
    """Return the median time of a query, as the service asks: one after the other."""
    queries: Sequence[Query] = [Query(history, LIST_LENGTH) for history in evaluation.histories[:TIMED_QUERIES]]
    took = list[float]()
    for query in queries:
        started = time.perf_counter()
        recommender.recommend([query])
        took.append(time.perf_counter() - started)
    return statistics.median(took) * 1_000
