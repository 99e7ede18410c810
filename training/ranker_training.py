"""RankerTraining: the second stage learns from the sources' own candidates, so its negatives are hard."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from engine.events import History
from engine.features import Candidates
from engine.item_vectors import ItemVectors
from engine.items import ItemTable
from engine.ranking import ranker_inputs, rerank
from engine.recommender import Recommender
from engine.window import HistoryColumns
from models import RANKERS, RankerNetwork
from training.cold_candidates import ColdCandidates
from training.config import TrainingConfig
from training.evaluation import Evaluation
from training.fit import Stage, TrainedStage, fit
from training.metrics import CUTOFFS, ranking_metrics
from training.optimiser import AveragedOptimiser
from training.torch_stages import TorchRanker, input_names

LISTS_AT_ONCE = 512


@dataclass(frozen=True, slots=True)
class CandidateLists:
    """Q lists that contain the right item: indices [Q,K], right [Q], and `inputs`, what a ranker reads of them.

    Of the candidates' vectors only the indices are kept; `vectors` [N,E] are those that they come from.
    """

    indices: Tensor
    right: Tensor
    inputs: dict[str, Tensor]
    vectors: Tensor

    def chosen(self, rows: Tensor, columns: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the indices [R,C] and the inputs of some candidates of some lists."""
        indices = self.indices[rows].gather(1, columns)
        inputs = {name: each[rows] for name, each in self.inputs.items()}
        wide = columns[..., None].expand(-1, -1, inputs["features"].shape[2])
        inputs["features"] = inputs["features"].gather(1, wide)
        inputs["candidate_vectors"] = self.vectors[indices]
        return indices, inputs


class RankerTraining:
    """Trains one ranker on top of the sources."""

    def __init__(self, config: TrainingConfig, cold: ColdCandidates | None = None) -> None:
        """Take the config; `cold` shows some candidates as if nobody had met them."""
        self._config = config
        self._cold = cold

    def lists(
        self,
        recommender: Recommender,
        vectors: ItemVectors,
        histories: HistoryColumns,
        targets: npt.NDArray[np.int64],
    ) -> CandidateLists:
        """Find candidates for each history and keep the lists that contain the target."""
        pieces = []
        for start in range(0, len(targets), LISTS_AT_ONCE):
            part = slice(start, start + LISTS_AT_ONCE)
            columns = histories.runs(histories.offsets[:-1][part], histories.offsets[1:][part])
            pieces.append(self._lists(recommender, vectors, columns, targets[part]))
        widths = {name: max(piece[name].shape[1] for piece in pieces) for name in ("indices", *_ragged(pieces[0]))}
        padding = {"indices": -1}
        joined = {
            name: torch.from_numpy(
                np.concatenate([_widened(piece[name], widths.get(name), padding.get(name, 0)) for piece in pieces])
            )
            for name in pieces[0]
        }
        outputs = torch.from_numpy(np.asarray(vectors.outputs))
        return CandidateLists(joined.pop("indices"), joined.pop("right"), joined, outputs)

    def run(
        self,
        lists: CandidateLists,
        recommender: Recommender,
        vectors: ItemVectors,
        evaluation: Evaluation,
        stage: Stage,
    ) -> TrainedStage[RankerNetwork]:
        """Train on the lists; validate by reranking the recommender's candidates, which have `vectors`."""
        config, items = self._config.ranker, recommender.items
        network = self._new_network(lists)
        optimiser = AveragedOptimiser(network, config, config.epochs * -(-len(lists.right) // config.queries_per_batch))
        # Who has no history gets the popular list, with which no ranker has to do.
        read = recommender.readable(evaluation.histories)
        wanted = list(compress(evaluation.wanted, read))
        candidates = [recommender.candidates_for(part) for part in _parts(list(compress(evaluation.histories, read)))]

        def validate(network: RankerNetwork) -> dict[str, float]:
            ranker = TorchRanker(network, self._config.ranker_features, items, vectors, self._config.device)
            ranked = [ids for each in candidates for ids in _ranked_ids(ranker, each, items)]
            return ranking_metrics(ranked, wanted)

        epoch = functools.partial(self._epoch, network, optimiser, lists)
        return fit(stage, config, config.epochs, optimiser, epoch, validate if wanted else None)

    def _lists(
        self,
        recommender: Recommender,
        vectors: ItemVectors,
        columns: HistoryColumns,
        targets: npt.NDArray[np.int64],
    ) -> dict[str, npt.NDArray[np.generic]]:
        excluded = [columns.item_index[slice(*run)] for run in zip(columns.offsets, columns.offsets[1:], strict=False)]
        found = recommender.candidates(columns, excluded)
        hit = found.indices == targets[:, None]
        rows = hit.any(axis=1)
        names = [name for name in self._read() if name != "candidate_vectors"]
        inputs = ranker_inputs(names, self._config.ranker_features, recommender.items, vectors, found)
        kept = {name: each[rows] for name, each in inputs.items()}
        return {"indices": found.indices[rows], "right": hit.argmax(axis=1)[rows], **kept}

    def _read(self) -> tuple[str, ...]:
        return input_names(RANKERS[self._config.ranker.model])

    def _new_network(self, lists: CandidateLists) -> RankerNetwork:
        features = lists.inputs["features"]
        width = lists.vectors.shape[1]
        network = RANKERS[self._config.ranker.model](width, features.shape[2], **self._config.ranker.network)
        flat = features[lists.indices >= 0]
        network.standardise(flat.mean(0), flat.std(0))
        return network.to(self._config.device)

    def _epoch(
        self, network: RankerNetwork, optimiser: AveragedOptimiser[RankerNetwork], lists: CandidateLists
    ) -> float:
        network.train()
        total = 0.0
        for rows in torch.split(torch.randperm(len(lists.right)), self._config.ranker.queries_per_batch):
            indices, inputs = lists.chosen(rows, self._choose(lists.indices[rows], lists.right[rows]))
            if self._cold is not None:
                inputs = self._cold.shown(indices, inputs)
            scored = network(*(inputs[name].to(self._config.device) for name in self._read()))
            scores: Tensor = scored[0] if isinstance(scored, tuple) else scored
            scores = scores.masked_fill((indices < 0).to(scores.device), -torch.inf)
            # The right item always stands first among the chosen.
            loss = functional.cross_entropy(scores, torch.zeros(len(rows), dtype=torch.long, device=scores.device))
            total += optimiser.step(loss) * len(rows)
        return total / len(lists.right)

    def _choose(self, indices: Tensor, right: Tensor) -> Tensor:
        """Return columns [Q,1+negatives]: the right candidate, then random others of the same list."""
        noise = torch.rand(indices.shape).masked_fill(indices < 0, -1.0)
        noise.scatter_(1, right[:, None], 2.0)
        return noise.topk(min(self._config.ranker.negatives + 1, indices.shape[1]), dim=1).indices


def _ragged(piece: dict[str, npt.NDArray[np.generic]]) -> list[str]:
    """Return the inputs whose second dimension differs from batch to batch."""
    return [name for name in ("features", "history_vectors", "values", "ages") if name in piece]


def _widened(array: npt.NDArray[np.generic], width: int | None, padding: float) -> npt.NDArray[np.generic]:
    if width is None or array.shape[1] == width:
        return array
    missing = [(0, 0), (0, width - array.shape[1]), *[(0, 0)] * (array.ndim - 2)]
    return np.pad(array, missing, constant_values=padding)


def _parts(histories: Sequence[History]) -> list[Sequence[History]]:
    return [histories[start : start + LISTS_AT_ONCE] for start in range(0, len(histories), LISTS_AT_ONCE)]


def _ranked_ids(ranker: TorchRanker, candidates: Candidates, items: ItemTable) -> list[list[str]]:
    indices = rerank(ranker, candidates).indices
    return [[items.vocabulary.id_of(int(index)) for index in row[: max(CUTOFFS)] if index >= 0] for row in indices]
