"""RankerTraining: the second stage learns from the first stage's own candidates, so its negatives are hard."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from engine.events import History
from engine.features import Candidates, candidate_features
from engine.items import ItemTable
from engine.ranking import rerank
from engine.recommender import Recommender
from engine.window import HistoryColumns
from models import NCF, RANKERS
from training.config import TrainingConfig
from training.evaluation import Evaluation
from training.fit import TrainedStage, fit
from training.metrics import CUTOFFS, ranking_metrics
from training.optimiser import AveragedOptimiser
from training.torch_stages import TorchRanker

LISTS_AT_ONCE = 512


@dataclass(frozen=True, slots=True)
class CandidateLists:
    """Q candidate lists that contain the right item: user_vectors [Q,E], indices [Q,K], features [Q,K,F], right [Q]."""

    user_vectors: Tensor
    indices: Tensor
    features: Tensor
    right: Tensor


class RankerTraining:
    """Trains one ranker on top of one retriever."""

    def __init__(self, config: TrainingConfig) -> None:
        self._config = config
        self._random = torch.Generator().manual_seed(config.seed)

    def lists(
        self, recommender: Recommender, histories: HistoryColumns, targets: npt.NDArray[np.int64]
    ) -> CandidateLists:
        """Retrieve candidates for each history and keep the lists that contain the target."""
        pieces = []
        for start in range(0, len(targets), LISTS_AT_ONCE):
            part = slice(start, start + LISTS_AT_ONCE)
            columns = histories.runs(histories.offsets[:-1][part], histories.offsets[1:][part])
            pieces.append(self._lists(recommender, columns, targets[part]))
        tensors = (torch.from_numpy(np.concatenate(arrays)) for arrays in zip(*pieces, strict=True))
        return CandidateLists(*tensors)

    def run(
        self, lists: CandidateLists, learned_from: ItemTable, recommender: Recommender, evaluation: Evaluation
    ) -> TrainedStage[NCF]:
        """Train on lists whose items are `learned_from`; validate by reranking the recommender's candidates."""
        config = self._config.ranker
        network = self._new_network(lists)
        item_vectors = torch.from_numpy(np.asarray(learned_from.output_vectors))
        optimiser = AveragedOptimiser(network, config, config.epochs * -(-len(lists.right) // config.queries_per_batch))
        depth, items = self._config.retriever.depth, recommender.items
        candidates = [recommender.candidates_for(part, depth) for part in _parts(evaluation.histories)]

        def validate(network: NCF) -> dict[str, float]:
            ranker = TorchRanker(network, config.features, items, self._config.device)
            ranked = [ids for each in candidates for ids in _ranked_ids(ranker, each, items)]
            return ranking_metrics(ranked, evaluation.wanted)

        epoch = functools.partial(self._epoch, network, optimiser, lists, item_vectors)
        return fit("ranker", config, config.epochs, optimiser, epoch, validate)

    def _lists(
        self, recommender: Recommender, columns: HistoryColumns, targets: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.generic], ...]:
        excluded = [columns.item_index[slice(*run)] for run in zip(columns.offsets, columns.offsets[1:], strict=False)]
        found = recommender.candidates(columns, excluded, self._config.retriever.depth)
        features = candidate_features(self._config.ranker.features, recommender.items, found)
        hit = found.indices == targets[:, None]
        rows = hit.any(axis=1)
        return found.user_vectors[rows], found.indices[rows], features[rows], hit.argmax(axis=1)[rows]

    def _new_network(self, lists: CandidateLists) -> NCF:
        width, features = lists.user_vectors.shape[1], lists.features.shape[2]
        network = RANKERS[self._config.ranker.model](width, features, **self._config.ranker.network)
        flat = lists.features[lists.indices >= 0]
        network.standardise(flat.mean(0), flat.std(0))
        return network.to(self._config.device)

    def _epoch(
        self,
        network: NCF,
        optimiser: AveragedOptimiser[NCF],
        lists: CandidateLists,
        item_vectors: Tensor,
    ) -> float:
        network.train()
        total = 0.0
        shuffled = torch.randperm(len(lists.right), generator=self._random)
        for rows in torch.split(shuffled, self._config.ranker.queries_per_batch):
            chosen = self._choose(lists.indices[rows], lists.right[rows])
            indices = lists.indices[rows].gather(1, chosen)
            features = lists.features[rows].gather(1, chosen[..., None].expand(-1, -1, lists.features.shape[2]))
            parts = (lists.user_vectors[rows], item_vectors[indices], features)
            scores = network(*(part.to(self._config.device) for part in parts))
            scores = scores.masked_fill((indices < 0).to(scores.device), -torch.inf)
            # The right item always stands first among the chosen.
            loss = functional.cross_entropy(scores, torch.zeros(len(rows), dtype=torch.long, device=scores.device))
            total += optimiser.step(loss) * len(rows)
        return total / len(lists.right)

    def _choose(self, indices: Tensor, right: Tensor) -> Tensor:
        """Return columns [Q,1+negatives]: the right candidate, then random others of the same list."""
        noise = torch.rand(indices.shape, generator=self._random).masked_fill(indices < 0, -1.0)
        noise.scatter_(1, right[:, None], 2.0)
        return noise.topk(min(self._config.ranker.negatives + 1, indices.shape[1]), dim=1).indices


def _parts(histories: Sequence[History]) -> list[Sequence[History]]:
    return [histories[start : start + LISTS_AT_ONCE] for start in range(0, len(histories), LISTS_AT_ONCE)]


def _ranked_ids(ranker: TorchRanker, candidates: Candidates, items: ItemTable) -> list[list[str]]:
    indices, _ = rerank(ranker, candidates, candidates.indices.shape[1])
    return [[items.vocabulary.id_of(int(index)) for index in row[: max(CUTOFFS)] if index >= 0] for row in indices]
