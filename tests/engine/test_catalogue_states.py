"""The catalogue and its index against a plain dict, in any order of changes and merges."""

from __future__ import annotations

from dataclasses import dataclass

import live_world
import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from live_world import CONTENT, ITEMS, WIDTH, ask, content_of, liked

from engine.events import History
from engine.index import VectorIndex
from engine.index_merge import IndexMerge
from engine.live_item import LiveItem
from engine.side_index import LiveIndex

BUNDLED = [str(item) for item in range(ITEMS)]
IDS = st.sampled_from(["a", "b", "c", "d", "e", "0", "3", "7"])
SEEDS = st.sampled_from([None, 50, 51, 52, 53])


@dataclass
class Plain:
    """An item as a dict would keep it; `order` is when it got the vector that it has."""

    content: np.ndarray | None
    is_hidden: bool
    order: int


class CatalogueMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.recommender = live_world.live_recommender(depth=4)
        self.catalogue = self.recommender.catalogue
        self.waiting: list[IndexMerge] = []
        source = self.recommender.sources[0]
        source.index = LiveIndex(VectorIndex.build(CONTENT[:, WIDTH:]), 3, self.waiting.append)
        self.plain = {item: Plain(CONTENT[int(item)], False, int(item)) for item in BUNDLED}
        self.count = ITEMS

    def change(self, item_id: str, seed: int | None, is_hidden: bool) -> LiveItem:
        content = None if seed is None else content_of(seed)
        self.count += 1
        if item_id in BUNDLED:
            self.plain[item_id] = Plain(CONTENT[int(item_id)], is_hidden, int(item_id))
        elif item_id in self.plain and np.array_equal(self.plain[item_id].content, content):
            self.plain[item_id].is_hidden = is_hidden
        else:
            self.plain[item_id] = Plain(content, is_hidden, self.count)
        return LiveItem(item_id, {"n": self.count}, is_hidden, float(self.count), content)

    @rule(changes=st.dictionaries(IDS, st.tuples(SEEDS, st.booleans()), min_size=1, max_size=4))
    def put(self, changes: dict[str, tuple[int | None, bool]]) -> None:
        self.catalogue.put([self.change(item_id, *facts) for item_id, facts in changes.items()])

    @rule(item_ids=st.lists(IDS, max_size=2))
    def remove(self, item_ids: list[str]) -> None:
        self.catalogue.remove(item_ids)
        for item_id in item_ids:
            self.plain.pop(item_id, None)

    @rule()
    def finish_merges(self) -> None:
        for merge in self.waiting:
            merge.run()
        self.waiting.clear()

    @invariant()
    def the_popular_list_has_all_that_may_be_answered(self) -> None:
        shown = {item: each for item, each in self.plain.items() if not each.is_hidden}
        live = sorted(shown.keys() - set(BUNDLED), key=lambda item: -shown[item].order)
        assert ask(self.recommender, History()) == [*[item for item in BUNDLED if item in shown], *live]

    @rule(history=st.lists(st.sampled_from([*"abcde", *BUNDLED]), min_size=1, max_size=4, unique=True))
    def ask_for_a_history(self, history: list[str]) -> None:
        # What was removed of the bundle is still known inside a history.
        content = {item: CONTENT[int(item)] for item in BUNDLED}
        content |= {item: each.content for item, each in self.plain.items() if each.content is not None}
        read = [content[item][:WIDTH] for item in history if item in content]
        unseen = {item: each for item, each in self.plain.items() if not each.is_hidden and item not in history}
        found = ask(self.recommender, liked(*history))
        assert len(found) == len(set(found))
        if not read:
            assert set(found) == unseen.keys()
            return
        user = np.mean(read, axis=0)
        scores = {item: float(each.content[WIDTH:] @ user) for item, each in unseen.items() if each.content is not None}
        described = found[: len(scores)]
        np.testing.assert_allclose([scores[item] for item in described], sorted(scores.values())[::-1], atol=1e-5)
        bare = sorted(unseen.keys() - scores.keys(), key=lambda item: -unseen[item].order)
        assert found[len(scores) :] == bare

    @invariant()
    def pages_have_everything(self) -> None:
        found, following = [], 0
        while following is not None:
            items, following = self.catalogue.page(following, 4)
            found += items
        assert {item.item_id: item.is_hidden for item in found} == {
            item: each.is_hidden for item, each in self.plain.items()
        }
        assert len(found) == len(self.plain)
        assert all(self.catalogue.get(item.item_id) == item for item in found)


TestCatalogueMachine = CatalogueMachine.TestCase
TestCatalogueMachine.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
