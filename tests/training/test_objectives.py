"""What each objective hides, and what it asks for, read back from a network that only counts what it sees."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from models import SequenceEncoder
from training.objectives import OBJECTIVES, Examples, Histories
from training.retriever_config import RetrieverConfig

ITEMS = 12
ROWS = [[1, 2, 3, 4, 7, 9, 11], [5, 6], [8, 0, 10]]


class Counting(SequenceEncoder):
    """Its user vector says which items it has seen; as a decoder it says which position it is asked for."""

    def input_vectors(self) -> Tensor:
        return torch.cat((torch.eye(ITEMS), torch.zeros(1, ITEMS)))

    def item_vectors(self) -> Tensor:
        return torch.eye(ITEMS)

    def states(self, vectors: Tensor, values: Tensor, ages: Tensor, lengths: Tensor) -> Tensor:
        self.read = (vectors, values, ages, lengths)
        return vectors.cumsum(dim=1)

    def reconstructions(self, user_vectors: Tensor, vectors: Tensor, *rest: Tensor) -> Tensor:
        return user_vectors[:, None] + 10 * torch.arange(vectors.shape[1])[:, None]


def histories() -> Histories:
    """Values are a tenth of the item, ages ten days an event."""
    shape = (len(ROWS), max(map(len, ROWS)))
    indices, values, ages = torch.full(shape, ITEMS), *torch.zeros(2, *shape)
    for row, items in enumerate(ROWS):
        indices[row, : len(items)] = torch.tensor(items)
        values[row, : len(items)] = torch.tensor(items) / 10
        ages[row, : len(items)] = 10.0 * torch.arange(len(items) - 1, -1, -1)
    return Histories(indices, values, ages, torch.tensor([len(items) for items in ROWS]))


def examples(objective: str, **config: object) -> Iterator[tuple[Counting, Examples]]:
    for seed in range(60):
        torch.manual_seed(seed)
        network = Counting()
        yield network, OBJECTIVES[objective](network, histories(), RetrieverConfig(**config))


def seen(query: Tensor) -> list[int]:
    return query.nonzero()[:, 0].tolist()


def wanted(found: Examples, query: int) -> list[int]:
    return found.targets[found.owner == query].tolist()


@pytest.mark.parametrize("objective", sorted(OBJECTIVES))
def test_each_target_comes_with_its_own_value(objective: str) -> None:
    for _, found in examples(objective):
        assert len(found.owner) == len(found.targets) == len(found.values)
        torch.testing.assert_close(found.values, found.targets / 10)
        assert set(found.owner.tolist()) == set(range(len(found.queries)))
        assert found.single == (len(found.owner) == len(found.queries))


def test_the_next_event_is_asked_for_after_each_event() -> None:
    _, found = next(examples("next_event"))
    asked = [(items[:place], items[place]) for items in ROWS for place in range(1, len(items))]
    assert [(seen(query), target) for query, target in zip(found.queries, found.targets.tolist(), strict=True)] == [
        (sorted(before), after) for before, after in asked
    ]
    assert found.single
    assert found.owner.tolist() == list(range(len(asked)))


@pytest.mark.parametrize("count", [1, 2, 100])
def test_what_follows_a_cut_is_asked_for(count: int) -> None:
    cuts = set()
    for _, found in examples("following", following=count):
        for row, items in enumerate(ROWS):
            cut = len(seen(found.queries[row]))
            cuts.add((row, cut))
            assert seen(found.queries[row]) == sorted(items[:cut])
            assert wanted(found, row) == items[cut : cut + count]
    assert cuts == {(row, cut) for row, items in enumerate(ROWS) for cut in range(1, len(items))}


@pytest.mark.parametrize("rate", [0.0, 0.5, 0.99, (0.0, 0.9)])
def test_what_is_masked_is_asked_for_and_not_shown(rate: float | tuple[float, float]) -> None:
    hidden = []
    for _, found in examples("masked", mask_rate=rate):
        for row, items in enumerate(ROWS):
            shown, asked = seen(found.queries[row]), wanted(found, row)
            assert shown
            assert asked
            assert sorted(shown + asked) == sorted(items)
        hidden.append(tuple(wanted(found, 0)))
    assert len(set(hidden)) > 5
    assert {len(each) for each in hidden} == {0.0: {1}, 0.99: {6}}.get(rate, set(range(1, 7)))  # type: ignore[call-overload]


def test_about_the_mask_rate_is_hidden() -> None:
    torch.manual_seed(0)
    lengths = torch.full((400,), 50)
    many = Histories(torch.zeros(400, 50, dtype=torch.long), *torch.zeros(2, 400, 50), lengths)
    found = OBJECTIVES["masked"](Counting(), many, RetrieverConfig(mask_rate=0.3))
    assert len(found.targets) / (400 * 50) == pytest.approx(0.3, abs=0.02)
    spread = OBJECTIVES["masked"](Counting(), many, RetrieverConfig(mask_rate=(0.1, 0.9)))
    shares = torch.bincount(spread.owner) / 50
    assert shares.mean().item() == pytest.approx(0.5, abs=0.05)
    assert shares.std().item() == pytest.approx(0.8 / 12**0.5, abs=0.05)


def test_a_reconstruction_asks_for_everything_and_shows_a_part() -> None:
    shown = set()
    for _, found in examples("reconstruction"):
        for row, items in enumerate(ROWS):
            assert wanted(found, row) == items
            assert 0 < len(seen(found.queries[row])) < len(items)
            assert set(seen(found.queries[row])) < set(items)
        shown.add(tuple(seen(found.queries[0])))
    assert len(shown) > 5


def test_a_reconstruction_without_masks_shows_everything() -> None:
    for _, found in examples("reconstruction", mask_rate=0.0):
        assert [seen(query) for query in found.queries] == [sorted(items) for items in ROWS]


def test_a_sequence_is_rebuilt_position_by_position_and_gone_on_with() -> None:
    for network, found in examples("sequence_reconstruction", following=2):
        lengths = network.read[3]
        rebuilt = [item for items, cut in zip(ROWS, lengths.tolist(), strict=True) for item in items[:cut]]
        count = len(rebuilt)
        assert found.targets[:count].tolist() == rebuilt
        assert found.owner[:count].tolist() == list(range(count))
        positions = torch.cat([torch.arange(cut) for cut in lengths.tolist()])
        torch.testing.assert_close(found.queries[:count].min(dim=1).values, 10.0 * positions)
        for row, (items, cut) in enumerate(zip(ROWS, lengths.tolist(), strict=True)):
            assert seen(found.queries[count + row]) == sorted(items[:cut])
            assert wanted(found, count + row) == items[cut : cut + 2]


@pytest.mark.parametrize("objective", ["masked", "reconstruction", "following", "sequence_reconstruction"])
def test_what_is_kept_stays_in_order_and_ages_count_from_the_newest_of_it(objective: str) -> None:
    for network, _ in examples(objective):
        vectors, values, ages, lengths = network.read
        for row, length in enumerate(lengths.tolist()):
            kept = vectors[row, :length].argmax(dim=1).tolist()
            places = [ROWS[row].index(item) for item in kept]
            assert all(before < after for before, after in pairwise(places))
            torch.testing.assert_close(values[row, :length], torch.tensor(kept) / 10)
            np.testing.assert_allclose(ages[row, :length], 10.0 * (places[-1] - np.array(places)))
            for padding in (vectors, values, ages):
                assert not padding[row, length:].any()
        assert vectors.shape[1] == lengths.max()
