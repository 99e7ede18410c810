"""TowerTraining: from content vectors to the two vectors that a network knows items by.

    input = a + A c;   output = q + s B (c - c0)

Inputs are a regression on those of items that the network has met (Gantner et al., "Learning Attribute-to-Feature
Mappings for Cold-Start Recommendations", 2010). Outputs are not: users lead there. Content vectors stand in the space
of who likes what; B turns them into vectors whose product with a user's vector is, as nearly as can be, what the
product with the user's place in that space would be. The scale s and the place q of a usual item make the scores of new
items and of known ones comparable. Both look at what content says of items that it has not learned from
(docs/decisions/0007).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from engine.item_vectors import ItemVectors
from engine.window import HistoryWindow
from models import UserEncoder
from models.item_tower import ItemTower
from training.collaborative_space import CollaborativeSpace
from training.interactions import Interactions
from training.torch_stages import TorchEncoder, item_vectors

MOST_READERS = 5_000
LOT = 256
INPUT_PENALTY, OUTPUT_PENALTY = 1e-3, 1e-2
SMALLEST = 1e-6


@dataclass(frozen=True, slots=True)
class TowerTraining:
    """Fits the tower of any network to honest content vectors [N,V], an item counting by its weight [N]."""

    honest: Tensor
    weights: Tensor
    space: CollaborativeSpace
    interactions: Interactions
    window: HistoryWindow

    @torch.no_grad()
    def run(self, network: UserEncoder) -> ItemTower:
        """Return the tower that leads to the vectors of a network as it stands."""
        vectors = item_vectors(network)
        tables = vectors.inputs[:-1], vectors.outputs
        inputs, outputs = (torch.from_numpy(np.asarray(table)) for table in tables)
        tower = ItemTower(self.honest.shape[1], inputs.shape[1], outputs.shape[1])
        user_vectors, places = self._readers(network, vectors)
        fit_inputs(tower.inputs, self.honest, inputs, self.weights)
        fit_outputs(tower.outputs, self.honest, outputs, self.weights, user_vectors, places)
        return tower.eval()

    def _readers(self, network: UserEncoder, vectors: ItemVectors) -> tuple[Tensor, Tensor]:
        """Return what the network makes of some users' histories [S,E], and where these users stand [S,V]."""
        columns = self.interactions.columns
        readers = np.flatnonzero(np.diff(columns.offsets))
        drawn = np.sort(np.random.default_rng(0).permutation(readers)[:MOST_READERS])
        histories = columns.runs(columns.offsets[:-1][drawn], columns.offsets[1:][drawn])
        rows = self.window.newest(histories, len(vectors.outputs))
        # Where the network is: it may have been on another device in training, and is exported from this one.
        encoder = TorchEncoder(network, str(next(network.parameters()).device))
        lots = np.split(np.arange(len(drawn)), range(LOT, len(drawn), LOT))
        encoded = [encoder.encode(vectors.batch(rows.only(lot))) for lot in lots]
        return torch.from_numpy(np.concatenate(encoded)), self.space.users[torch.from_numpy(drawn)]


@torch.no_grad()
def fit_inputs(layer: torch.nn.Linear, honest: Tensor, inputs: Tensor, weights: Tensor) -> None:
    """Regress input vectors [N,D] on content vectors [N,V]."""
    shares = (weights / weights.sum()).double()
    centre, mean = shares @ honest.double(), shares @ inputs.double()
    rows = (honest.double() - centre) * shares.sqrt()[:, None]
    solved = _ridge(rows, (inputs.double() - mean) * shares.sqrt()[:, None], INPUT_PENALTY)
    layer.weight.copy_(solved.T)
    layer.bias.copy_(mean - centre @ solved)


@torch.no_grad()
def fit_outputs(
    layer: torch.nn.Linear, honest: Tensor, outputs: Tensor, weights: Tensor, user_vectors: Tensor, places: Tensor
) -> None:
    """Turn content vectors [N,V] so that user vectors [S,E] score them as the users' places [S,V] do."""
    shares = (weights / weights.sum()).double()
    centre, mean = shares @ honest.double(), shares @ outputs.double()
    turned = _ridge(user_vectors.double(), places.double(), OUTPUT_PENALTY)
    squares = user_vectors.double().T @ user_vectors.double()
    by_content, learned = (honest.double() - centre) @ turned.T, outputs.double() - mean
    # Sums over all users and items of products of scores, without the table of scores.
    common = shares @ ((by_content @ squares) * learned).sum(dim=1)
    own = shares @ ((by_content @ squares) * by_content).sum(dim=1)
    scale = (common / own.clamp(min=SMALLEST)).clamp(min=0.0)
    layer.weight.copy_(scale * turned)
    layer.bias.copy_(mean - centre @ (scale * turned).T)


def _ridge(rows: Tensor, targets: Tensor, penalty: float) -> Tensor:
    """Return the solution [F,T], penalised by a share of the mean square of the rows [B,F]."""
    squares = rows.T @ rows
    least = penalty * squares.trace() / len(squares) + SMALLEST
    solved: Tensor = torch.linalg.solve(squares + least * torch.eye(len(squares)), rows.T @ targets)
    return solved
