"""What is drawn is drawn as often as it is said to be."""

from __future__ import annotations

import pytest
import torch

from training.negatives import NegativeSampler
from training.retriever_config import RetrieverConfig

POPULARITY = torch.tensor([1, 0, 6, 3, 20])
SHARES = torch.tensor([1.0, 1.0, 6.0, 3.0, 20.0]) / 31
DRAWS = 100_000


def sampler(sampling: str, **config: int) -> NegativeSampler:
    torch.manual_seed(0)
    return NegativeSampler(RetrieverConfig(loss="bpr", sampling=sampling, **config), POPULARITY)


@pytest.mark.parametrize(
    ("sampling", "shares"), [("uniform", torch.full((5,), 0.2)), ("popularity", SHARES)], ids=["uniform", "popularity"]
)
def test_items_are_drawn_by_their_shares(sampling: str, shares: torch.Tensor) -> None:
    drawn, oftener = sampler(sampling, negatives=DRAWS).draw(torch.tensor([2]))
    found = torch.bincount(drawn, minlength=5) / DRAWS
    torch.testing.assert_close(found, shares, atol=0.005, rtol=0)
    torch.testing.assert_close(oftener, (5 * shares).log()[drawn])


def test_within_the_batch_targets_are_drawn_and_corrected_by_their_popularity() -> None:
    targets = torch.tensor([4, 4, 4, 2])
    drawn, oftener = sampler("in_batch", negatives=DRAWS).draw(targets)
    found = torch.bincount(drawn, minlength=5) / DRAWS
    torch.testing.assert_close(found, torch.tensor([0.0, 0.0, 0.25, 0.0, 0.75]), atol=0.005, rtol=0)
    torch.testing.assert_close(oftener, (5 * SHARES).log()[drawn])


@pytest.mark.parametrize("sampling", ["uniform", "popularity", "in_batch"])
def test_a_pool_for_the_hardest_is_so_many_times_larger(sampling: str) -> None:
    drawn, oftener = sampler(sampling, negatives=7, hard_pool=3).draw(torch.tensor([2]))
    assert drawn.shape == oftener.shape == (21,)
    assert drawn.dtype == torch.long
    assert oftener.dtype == torch.float


@pytest.mark.parametrize("sampling", ["uniform", "popularity", "in_batch"])
def test_a_seed_gives_the_same_draws(sampling: str) -> None:
    targets = torch.arange(5)
    first, again = (sampler(sampling, negatives=50).draw(targets)[0] for _ in range(2))
    assert torch.equal(first, again)
