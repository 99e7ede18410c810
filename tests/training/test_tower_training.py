"""Towers: where new items stand for a network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.tower_training import fit_inputs, fit_outputs

WIDTH, USERS, ITEMS = 6, 300, 200


def drawn(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def inputs_tower(honest: Tensor, inputs: Tensor, weights: Tensor) -> nn.Linear:
    layer = nn.Linear(honest.shape[1], inputs.shape[1])
    fit_inputs(layer, honest, inputs, weights)
    return layer.requires_grad_(False)


def outputs_tower(
    honest: Tensor, outputs: Tensor, user_vectors: Tensor, places: Tensor, weights: Tensor | None = None
) -> nn.Linear:
    layer = nn.Linear(honest.shape[1], outputs.shape[1])
    fit_outputs(layer, honest, outputs, torch.ones(len(honest)) if weights is None else weights, user_vectors, places)
    return layer.requires_grad_(False)


def test_inputs_follow_what_content_explains() -> None:
    honest = drawn(ITEMS, WIDTH, seed=0)
    inputs = honest @ drawn(WIDTH, 4, seed=1) + 2.0
    tower = inputs_tower(honest, inputs, torch.rand(ITEMS) + 0.1)
    torch.testing.assert_close(tower(honest), inputs, atol=0.05, rtol=0.05)


def test_inputs_follow_the_items_that_count() -> None:
    targets = torch.cat((torch.ones(2, 3), torch.zeros(8, 3)))
    weights = torch.tensor([9.0] * 2 + [0.25] * 8)
    tower = inputs_tower(torch.zeros(10, WIDTH), targets, weights)
    torch.testing.assert_close(tower(torch.zeros(1, WIDTH)), torch.full((1, 3), 0.9), atol=1e-4, rtol=1e-4)


def test_users_score_new_items_as_their_places_do() -> None:
    user_vectors, new = drawn(USERS, 8, seed=0), drawn(40, WIDTH, seed=1)
    places = user_vectors @ drawn(8, WIDTH, seed=2)
    honest = drawn(ITEMS, WIDTH, seed=3)
    # What the network has learned of items is in its own scale and has its own usual item.
    outputs = 5.0 * honest @ torch.linalg.lstsq(user_vectors, places).solution.T + 3.0
    tower = outputs_tower(honest, outputs, user_vectors, places)
    wanted = 5.0 * new @ places.T + 3.0 * user_vectors.sum(dim=1)
    torch.testing.assert_close(tower(new) @ user_vectors.T, wanted, atol=1.0, rtol=0.05)


def test_content_that_says_nothing_leads_to_the_usual_item() -> None:
    user_vectors, honest = drawn(USERS, 8, seed=0), drawn(ITEMS, WIDTH, seed=1)
    places = user_vectors @ drawn(8, WIDTH, seed=2)
    learned = drawn(ITEMS, 8, seed=3) + 1.0
    tower = outputs_tower(honest, learned, user_vectors, places)
    spread = (tower(honest) - learned.mean(dim=0)).square().mean() / (learned - learned.mean(dim=0)).square().mean()
    assert spread < 0.1
    against = outputs_tower(honest, -honest @ torch.linalg.lstsq(user_vectors, places).solution.T, user_vectors, places)
    torch.testing.assert_close(against.weight, torch.zeros_like(against.weight))


def test_the_usual_item_is_one_of_those_that_count() -> None:
    user_vectors, places = drawn(USERS, 3, seed=0), drawn(USERS, WIDTH, seed=1)
    learned = torch.cat((torch.ones(2, 3), torch.zeros(8, 3)))
    weights = torch.tensor([9.0] * 2 + [0.25] * 8)
    tower = outputs_tower(torch.zeros(10, WIDTH), learned, user_vectors, places, weights)
    torch.testing.assert_close(tower(torch.zeros(1, WIDTH)), torch.full((1, 3), 0.9), atol=1e-4, rtol=1e-4)
