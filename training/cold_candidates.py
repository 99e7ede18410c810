"""ColdCandidates: candidates as a ranker would meet them if they were new.

Volkovs et al., "DropoutNet: Addressing Cold Start in Recommender Systems", 2017: what is learned of an item is dropped
at random in training, so that the network learns what to make of an item that has nothing but its content.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import torch
from torch import Tensor

from engine.features import IS_NEW

RETRIEVAL_SCORE, RETRIEVAL_RANK = "retrieval_score", "retrieval_rank"
# The same for all candidates of a history.
OF_THE_HISTORY = ("history_length",)
COLD_IN_LIST = 0.5


class ColdCandidates:
    """Shows half the candidates of a share of the lists with their `vectors` [N,E] by content, and as met by nobody.

    Features of the first source's score are computed again; what counts events becomes zero, as it is of a new item.
    Further sources are taken to propose a new item last, but for those whose features are `by_content`.
    """

    def __init__(
        self, vectors: Tensor, features: Sequence[str], share: float, by_content: Collection[str] = ()
    ) -> None:
        self._vectors = vectors
        self._features = list(features)
        self._share = share
        self._kept = {*OF_THE_HISTORY, *by_content}

    def shown(self, indices: Tensor, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the inputs of candidates [Q,C] with some of them cold."""
        # Most lists stay as they are, so that what a ranker knows of known items is learned as without content.
        chosen = torch.rand(len(indices), 1) < self._share
        cold = chosen & (torch.rand(indices.shape) < COLD_IN_LIST) & (indices >= 0)
        users, vectors, features = inputs["user_vectors"], inputs["candidate_vectors"], inputs["features"]
        unmet = torch.where(cold[..., None], self._vectors[indices.clamp(min=0)], vectors)
        # Scores stand in the features as how far they are below the best one, which stays.
        moved = ((unmet - vectors) @ users[..., None])[..., 0]
        return {**inputs, "candidate_vectors": unmet, "features": self._features_of(features, cold, moved)}

    def _features_of(self, features: Tensor, cold: Tensor, moved: Tensor) -> Tensor:
        scores = features[..., self._features.index(RETRIEVAL_SCORE)]
        changed = features.clone()
        for column, name in enumerate(self._features):
            values = features[..., column]
            if name in self._kept:
                continue
            if name == RETRIEVAL_SCORE:
                unmet = scores + moved
            elif name == RETRIEVAL_RANK:
                unmet = self._places(scores, scores + moved, values)
            elif name.endswith("_score"):
                unmet = values.amin(dim=1, keepdim=True).expand_as(values)
            elif name.endswith("_rank"):
                unmet = values.amax(dim=1, keepdim=True).expand_as(values)
            elif name == IS_NEW:
                unmet = torch.ones_like(values)
            else:
                unmet = torch.zeros_like(values)
            changed[..., column] = torch.where(cold, unmet, values)
        return changed

    @staticmethod
    def _places(scores: Tensor, moved: Tensor, places: Tensor) -> Tensor:
        """Return the logarithmic place of each moved score: that of the best candidate that it is not below."""
        below = moved[:, :, None] < scores[:, None, :]
        passed = torch.where(below, torch.zeros(()), places[:, None, :].max() + 1 - places[:, None, :])
        best = passed.argmax(dim=2)
        last = places.amax(dim=1, keepdim=True)
        return torch.where(passed.amax(dim=2) > 0, places.gather(1, best), last)
