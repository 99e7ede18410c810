"""Rehearsal plays unknown items with known ones: what is held out teaches nothing; the space is what was counted."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.window import HistoryColumns, offsets_of
from training.collaborative_space import GAIN, OFFSET, CollaborativeSpace
from training.rehearsal import Rehearsal

USERS, ITEMS, WIDTH = 30, 18, 4


def events_of(seed: int = 0) -> HistoryColumns:
    """Each user meets eight items of 18, some twice, and likes those of their own third."""
    random = np.random.default_rng(seed)
    items = np.stack([random.integers(0, ITEMS, 8) for _ in range(USERS)])
    liked = items % 3 == np.arange(USERS)[:, None] % 3
    values = np.where(liked, random.uniform(0.7, 1.0, items.shape), random.uniform(0.0, 0.2, items.shape))
    columns = items.ravel(), values.ravel().astype(np.float32), np.arange(items.size, dtype=np.float64)
    return HistoryColumns(*columns, offsets_of(np.full(USERS, 8)))


def counted(columns: HistoryColumns) -> Tensor:
    """How much each user likes each item [U,N], one event after the other."""
    table = torch.zeros(USERS, ITEMS)
    for user in range(USERS):
        for event in range(columns.offsets[user], columns.offsets[user + 1]):
            item, weight = int(columns.item_index[event]), max(GAIN * float(columns.value[event]) - OFFSET, 0.0)
            table[user, item] = max(float(table[user, item]), weight)
    return table


def scaled(table: Tensor) -> Tensor:
    return table / (table.sum(dim=1, keepdim=True) + 1.0).sqrt()


@pytest.fixture(scope="module")
def columns() -> HistoryColumns:
    return events_of()


@pytest.fixture(scope="module")
def space(columns: HistoryColumns) -> CollaborativeSpace:
    return CollaborativeSpace.of(columns, ITEMS, WIDTH)


def test_the_space_is_the_truncated_svd_of_the_likes(columns: HistoryColumns, space: CollaborativeSpace) -> None:
    left, sizes, right = torch.linalg.svd(scaled(counted(columns)), full_matrices=False)
    wanted = left[:, :WIDTH] * sizes[:WIDTH] @ right[:WIDTH]
    torch.testing.assert_close(space.users @ space.items.T, wanted, atol=2e-3, rtol=1e-2)
    torch.testing.assert_close(space.users.T @ space.users / USERS, torch.eye(WIDTH), atol=1e-4, rtol=1e-4)


def test_likes_are_those_of_the_events(columns: HistoryColumns, space: CollaborativeSpace) -> None:
    items, users = torch.tensor([5, 0, 17]), torch.tensor([29, 3, 4, 11])
    table = counted(columns)
    torch.testing.assert_close(space.likes(items, users), table[users][:, items].T)
    torch.testing.assert_close(space.likes(torch.arange(ITEMS), torch.arange(USERS)), table.T)


def test_some_items_alone_keep_their_likes_in_the_order_asked_for(
    columns: HistoryColumns, space: CollaborativeSpace
) -> None:
    items = torch.tensor([7, 2, 16])
    some = space.only(items)
    torch.testing.assert_close(some.likes(torch.arange(3), torch.arange(USERS)), counted(columns)[:, items].T)
    assert torch.equal(some.items, space.items[items])
    assert torch.equal(some.users, space.users)
    assert torch.equal(some.starts.diff(), space.starts.diff()[items])


def test_without_items_it_is_the_space_of_the_other_events(columns: HistoryColumns, space: CollaborativeSpace) -> None:
    unmet = torch.tensor([1, 8, 14])
    found = space.without(unmet)
    wanted = CollaborativeSpace.of(columns.kept(~np.isin(columns.item_index, unmet.numpy())), ITEMS, WIDTH)
    torch.testing.assert_close(found.users @ found.items.T, wanted.users @ wanted.items.T, atol=2e-3, rtol=1e-2)
    torch.testing.assert_close(found.items[unmet], torch.zeros(3, WIDTH), atol=1e-6, rtol=0.0)
    assert not found.likes(unmet, torch.arange(USERS)).any()


@pytest.mark.parametrize("has_bias", [False, True])
def test_the_ranking_is_the_mean_ndcg_over_those_who_like_something(
    columns: HistoryColumns, space: CollaborativeSpace, has_bias: bool
) -> None:
    items, table = torch.tensor([4, 0, 9, 12, 13, 2, 7, 17, 16, 5, 11, 10]), counted(columns)
    vectors = torch.randn(len(items), WIDTH + has_bias, generator=torch.Generator().manual_seed(3))
    gains = []
    for user in range(USERS):
        right = table[user, items] >= 1.0
        if right.any():
            scores = vectors[:, :WIDTH] @ space.users[user] + (vectors[:, -1] if has_bias else 0.0)
            order = scores.argsort(descending=True)[:10].tolist()
            found = sum(1 / np.log2(place + 2) for place, item in enumerate(order) if right[item])
            gains.append(found / sum(1 / np.log2(place + 2) for place in range(min(int(right.sum()), 10))))
    assert space.ranking(vectors, items, space.users) == pytest.approx(np.mean(gains), abs=1e-5)


def test_a_ranking_that_nobody_can_judge_is_nothing(space: CollaborativeSpace) -> None:
    nothing = torch.zeros(0, dtype=torch.long)
    assert space.ranking(torch.zeros(0, WIDTH), nothing, space.users) == 0.0


def test_equal_events_give_an_equal_space(columns: HistoryColumns, space: CollaborativeSpace) -> None:
    torch.rand(5)
    again = CollaborativeSpace.of(columns, ITEMS, WIDTH)
    for name in ("users", "items", "liking", "weights", "starts"):
        assert torch.equal(getattr(again, name), getattr(space, name))


def test_the_draws_of_others_are_left_alone(columns: HistoryColumns) -> None:
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    CollaborativeSpace.of(columns, ITEMS, WIDTH)
    assert torch.equal(torch.rand(3), wanted)


def test_a_world_smaller_than_the_space_leaves_the_rest_empty(columns: HistoryColumns) -> None:
    space = CollaborativeSpace.of(columns, ITEMS, 50)
    assert space.users.shape == (USERS, 50)
    assert not space.items[:, ITEMS:].any()
    torch.testing.assert_close(space.users @ space.items.T, scaled(counted(columns)), atol=1e-3, rtol=1e-3)


def test_where_nobody_likes_anything_all_is_zero(columns: HistoryColumns) -> None:
    hated = HistoryColumns(columns.item_index, 0.0 * columns.value, columns.timestamp, columns.offsets)
    space = CollaborativeSpace.of(hated, ITEMS, WIDTH)
    assert not space.items.any()
    assert torch.isfinite(space.users).all()


@pytest.mark.parametrize("folds", [2, 3, 5])
def test_each_item_is_held_out_once_and_its_events_are_not_in_the_space(space: CollaborativeSpace, folds: int) -> None:
    rehearsal = Rehearsal(space, folds)
    assert torch.cat([act.held_out for act in rehearsal.acts]).sort().values.tolist() == list(range(ITEMS))
    for act in rehearsal.acts:
        assert sorted([*act.taught.tolist(), *act.held_out.tolist()]) == list(range(ITEMS))
        assert not act.space.likes(act.held_out, torch.arange(USERS)).any()
        torch.testing.assert_close(act.space.items[act.held_out], torch.zeros_like(act.space.items[act.held_out]))
        kept = act.space.likes(act.taught, torch.arange(USERS))
        assert torch.equal(kept, space.likes(act.taught, torch.arange(USERS)))


@pytest.fixture(scope="module")
def kernels() -> dict[str, Tensor]:
    """One part tells what an item is, the other nothing."""
    thirds = torch.nn.functional.one_hot(torch.arange(ITEMS) % 3).float()
    noise = torch.randn(ITEMS, 40, generator=torch.Generator().manual_seed(0))
    noise = torch.nn.functional.normalize(noise, dim=1)
    return {"third": thirds @ thirds.T, "noise": noise @ noise.T}


def test_the_best_weights_are_never_worse_than_where_the_search_began(
    space: CollaborativeSpace, kernels: dict[str, Tensor]
) -> None:
    rehearsal = Rehearsal(space, 3)
    for begin in ({}, {"noise": 8.0}, {"third": 0.1, "noise": 3.0}):
        first = rehearsal.best_penalty(kernels, (1.0, 10.0), begin)
        best = rehearsal.best(kernels, (1.0, 10.0), begin)
        assert best.score >= first.score
        again = rehearsal.best_penalty(kernels, (best.penalty,), best.part_weights)
        assert again.score == pytest.approx(best.score)


def test_what_tells_nothing_loses_its_weight(space: CollaborativeSpace, kernels: dict[str, Tensor]) -> None:
    rehearsal = Rehearsal(space, 3)
    best = rehearsal.best(kernels, (1.0, 10.0), {"noise": 8.0})
    assert best.part_weights["noise"] < 8.0 * best.part_weights.get("third", 1.0)
    assert best.score > rehearsal.best_penalty(kernels, (1.0, 10.0), {"noise": 8.0}).score


def test_the_best_penalty_is_the_best_of_each_alone(space: CollaborativeSpace, kernels: dict[str, Tensor]) -> None:
    rehearsal, penalties = Rehearsal(space, 3), (0.01, 1.0, 1_000.0)
    alone = {each: rehearsal.best_penalty(kernels, (each,), {}).score for each in penalties}
    found = rehearsal.best_penalty(kernels, penalties, {})
    assert found.score == max(alone.values()) == alone[found.penalty]
