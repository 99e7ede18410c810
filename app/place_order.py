"""PlaceOrder: where items stand in lists, kept in order while they come and go."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator
from itertools import chain, islice

Place = tuple[float, str]
"""added_at and item_id: the same in every worker, and no change of an item moves it."""
LONGEST = 1_024


class PlaceOrder:
    """Places in ascending order. A change costs what a block costs, however many places there are."""

    def __init__(self, places: Iterable[Place] = ()) -> None:
        every = sorted(set(places))
        self._blocks = [every[start : start + LONGEST] for start in range(0, len(every), LONGEST)]
        self._lasts = [block[-1] for block in self._blocks]

    def add(self, place: Place) -> None:
        """Put a place in; one that is there already stays once."""
        if not self._blocks:
            self._blocks.append([])
            self._lasts.append(place)
        number = min(bisect_left(self._lasts, place), len(self._blocks) - 1)
        block = self._blocks[number]
        at = bisect_left(block, place)
        if block[at : at + 1] != [place]:
            insort(block, place)
            self._settle(number)

    def discard(self, place: Place) -> None:
        """Take a place out; one that is not there is no error."""
        number = bisect_left(self._lasts, place)
        if number == len(self._blocks):
            return
        block = self._blocks[number]
        at = bisect_left(block, place)
        if block[at] == place:
            del block[at]
            self._settle(number)

    def after(self, place: Place, n: int) -> list[Place]:
        """Return the next n places."""
        return list(islice(self._from(place), n))

    def _from(self, place: Place) -> Iterator[Place]:
        number = bisect_right(self._lasts, place)
        if number == len(self._blocks):
            return iter(())
        first = self._blocks[number]
        rest = chain.from_iterable(islice(self._blocks, number + 1, None))
        return chain(islice(first, bisect_right(first, place), None), rest)

    def _settle(self, number: int) -> None:
        """Make the blocks as long as they may be, after one has changed."""
        block = self._blocks[number]
        halves = [block[: len(block) // 2], block[len(block) // 2 :]] if len(block) > LONGEST else [block]
        self._blocks[number : number + 1] = kept = [half for half in halves if half]
        self._lasts[number : number + 1] = [half[-1] for half in kept]
