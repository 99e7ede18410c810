"""CollaborativeSpace: who likes what, in few dimensions; the space that content vectors live in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from engine.window import HistoryColumns

OVERSAMPLING = 10
POWER_STEPS = 6
# What a value v in 0..1 counts as a like: nothing for the worst ratings, 1 for two thirds of the scale, most for the
# best.
GAIN, OFFSET = 1.8, 0.2
LIKED = 1.0
MOST_JUDGES = 2_000
CUTOFF = 10


@dataclass(frozen=True, slots=True)
class CollaborativeSpace:
    """users [U,V] and items [N,V] whose product is about how much a user likes an item (a truncated SVD of the likes).

    A user's likes are divided by the root of their sum before. liking [E] likes liked [E] by weights [E], above 0; they
    are sorted by item, and item i has starts[i]:starts[i+1].
    """

    users: Tensor
    items: Tensor
    liking: Tensor
    weights: Tensor
    starts: Tensor

    @classmethod
    def of(cls, columns: HistoryColumns, item_count: int, width: int) -> CollaborativeSpace:
        """Factorise the likes among some events."""
        user_count = len(columns.offsets) - 1
        owner = np.repeat(np.arange(user_count), np.diff(columns.offsets))
        weights = np.maximum(GAIN * columns.value - OFFSET, 0.0)
        kept = weights > 0
        pairs, likes = _summed(owner[kept], columns.item_index[kept], weights[kept], item_count)
        return cls._factorised(pairs, likes, user_count, item_count, width)

    def without(self, items: Tensor) -> CollaborativeSpace:
        """Return the space that there would be if nobody had met some items; their vectors are zero."""
        item_count, (user_count, width) = len(self.items), self.users.shape
        liked = torch.repeat_interleave(torch.arange(item_count), self.starts.diff())
        kept = ~torch.isin(liked, items)
        pairs = torch.stack((self.liking[kept], liked[kept])).numpy()
        return self._factorised(pairs, self.weights[kept].double().numpy(), user_count, item_count, width)

    def only(self, items: Tensor) -> CollaborativeSpace:
        """Return the space of some items alone, in that order; users' places stay as they are."""
        liked = torch.cat([torch.arange(int(self.starts[item]), int(self.starts[item + 1])) for item in items.tolist()])
        starts = torch.cat((torch.zeros(1, dtype=torch.long), self.starts.diff()[items].cumsum(0)))
        return CollaborativeSpace(self.users, self.items[items], self.liking[liked], self.weights[liked], starts)

    @classmethod
    def _factorised(
        cls,
        pairs: npt.NDArray[np.int64],
        likes: npt.NDArray[np.float64],
        user_count: int,
        item_count: int,
        width: int,
    ) -> CollaborativeSpace:
        """Halko et al., "Finding Structure with Randomness", 2011."""
        sums = np.bincount(pairs[0], likes, user_count)
        scaled = torch.from_numpy(likes / np.sqrt(sums[pairs[0]] + 1.0)).float()
        places, shape = torch.from_numpy(pairs), (user_count, item_count)
        table = torch.sparse_coo_tensor(places, scaled, shape, check_invariants=False).coalesce()
        size = min(user_count, item_count)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            users, sizes, items = torch.svd_lowrank(table, q=min(width + OVERSAMPLING, size), niter=POWER_STEPS)
        rank = min(width, size)
        missing = (0, width - rank)
        order = np.argsort(pairs[1], kind="stable")
        starts = np.concatenate(([0], np.cumsum(np.bincount(pairs[1], minlength=item_count))))
        return cls(
            torch.nn.functional.pad(users[:, :rank] * user_count**0.5, missing),
            torch.nn.functional.pad(items[:, :rank] * sizes[:rank] / user_count**0.5, missing),
            torch.from_numpy(pairs[0][order]),
            torch.from_numpy(likes[order]).float(),
            torch.from_numpy(starts),
        )

    def likes(self, items: Tensor, users: Tensor) -> Tensor:
        """Return how much each of some items is liked by each of some users [B,S]."""
        column = torch.full((len(self.users),), -1)
        column[users] = torch.arange(len(users))
        table = torch.zeros(len(items), len(users))
        for row, item in enumerate(items.tolist()):
            own = slice(int(self.starts[item]), int(self.starts[item + 1]))
            places = column[self.liking[own]]
            table[row, places[places >= 0]] = self.weights[own][places >= 0]
        return table

    def ranking(self, vectors: Tensor, items: Tensor, users: Tensor) -> float:
        """Return the mean NDCG@10 of some items, ranked by their vectors [B,V] (or, with a bias, [B,V+1]) for all users
        [U,V], as another space may see them. Of many users, some are drawn, always the same.
        """
        drawn = torch.randperm(len(self.users), generator=torch.Generator().manual_seed(0))[:MOST_JUDGES].sort().values
        wanted = (self.likes(items, drawn) >= LIKED).T
        users, wanted = users[drawn][wanted.any(dim=1)], wanted[wanted.any(dim=1)]
        if not len(users):
            return 0.0
        scores = users @ vectors[:, : users.shape[1]].T + vectors[:, users.shape[1] :].sum(dim=1)
        best = min(CUTOFF, len(items))
        discounts = 1.0 / torch.log2(torch.arange(best) + 2.0)
        gains = (wanted.gather(1, scores.topk(best, dim=1).indices) * discounts).sum(dim=1)
        ideal = discounts.cumsum(0)[wanted.sum(dim=1).clamp(max=best) - 1]
        return float((gains / ideal).mean())


def _summed(
    users: npt.NDArray[np.int64], items: npt.NDArray[np.int64], weights: npt.NDArray[np.floating], item_count: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return each pair once, as user and item [2,E], with the largest of its weights [E]."""
    keys, place = np.unique(users * item_count + items, return_inverse=True)
    largest = np.zeros(len(keys))
    np.maximum.at(largest, place, weights)
    return np.stack((keys // item_count, keys % item_count)), largest
