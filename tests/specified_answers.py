"""What a list must be for a history: what holds of any list, and what the engine computes from the same history."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from specification_model import Sent, UserModel, as_event, counting
from steered_world import FIRST_YEAR, ITEMS, metadata_of, number_of

from engine.bundle import Bundle
from engine.events import History
from engine.query import Lift, Query
from engine.recommendation import Recommendation
from engine.recommender import POPULAR
from engine.selection import Selection
from engine.window import DEFAULT_WEIGHTS

UNKNOWN_ITEMS = ("unknown / item",)
Test = Callable[[str], bool]


def year_of(item_id: str) -> int:
    return int(metadata_of(item_id)["year"])


FILTERS: dict[str, Test] = {
    f"year >= {FIRST_YEAR + 20}": lambda item: year_of(item) >= FIRST_YEAR + 20,
    'not categories = "red" and year < 2001': lambda item: number_of(item) % 3 > 0 and year_of(item) < 2001,
    'title contains "item 1" or item_id in ("item 5")': lambda item: item.startswith("item 1") or item == "item 5",
    "year = 1985": lambda item: year_of(item) == 1985,
    "year > 3000": lambda _: False,
}
BOOSTS: list[tuple[str, float, Test]] = [
    (f"2 if year < {FIRST_YEAR + 10}", 2.0, lambda item: number_of(item) < 10),
    ('-1.5 if categories = "blue"', -1.5, lambda item: number_of(item) % 3 == 2),
]


@dataclass(frozen=True)
class Wish:
    """Options of one list; `boost` is a number in BOOSTS."""

    exclude_seen: bool = True
    categories: tuple[str, ...] = ()
    match: str = "any"
    exclude: tuple[str, ...] = ()
    filter: str | None = None
    boost: int | None = None
    model: str | None = None
    diversity: float = 0.0

    def members(self) -> dict[str, Any]:
        """Return what a JSON body says; what is left out has its default."""
        given = {name: value for name, value in vars(self).items() if value != getattr(PLAIN, name)}
        return given if self.boost is None else {**given, "boost": [BOOSTS[self.boost][0]]}

    def parameters(self, n: int) -> dict[str, Any]:
        """Return what a query says."""
        return {"n": n, **self.members()}

    def allows(self, item_id: str) -> bool:
        found = [category in metadata_of(item_id)["categories"] for category in self.categories]
        fits = (any if self.match == "any" else all)(found) or not found
        return fits and item_id not in self.exclude and (self.filter is None or FILTERS[self.filter](item_id))


PLAIN = Wish()
STEERED = st.builds(
    Wish,
    exclude_seen=st.booleans(),
    categories=st.sampled_from([(), (), ("red",), ("red", "small"), ("blue", "green"), ("nothing",)]),
    match=st.sampled_from(["any", "all"]),
    exclude=st.sampled_from([(), ("item 3", "item 8", "nothing")]),
    filter=st.sampled_from([None, None, None, *FILTERS]),
    boost=st.sampled_from([None, *range(len(BOOSTS))]),
    model=st.sampled_from([None, None, None, "popular", "sasrec", "item_knn"]),
    diversity=st.sampled_from([0.0, 0.0, 0.5, 1.0]),
)
WISHES = st.just(PLAIN) | STEERED


class Answers:
    """The bundle that the service has, in this process."""

    def __init__(self, bundle: Path) -> None:
        self.recommender = Bundle.open(bundle).recommender()
        self.recommender.weigh(DEFAULT_WEIGHTS | self.recommender.window.event_weights)

    def check(
        self,
        answer: dict[str, Any],
        user: UserModel,
        wish: Wish,
        n: int,
        *,
        shown: Sequence[str] = (),
        session: Sequence[Sent] = (),
    ) -> None:
        """Check a list for a user, of whom `session` is supposed too, without what was `shown` before."""
        kept = user.history()
        for arrival, each in enumerate(session, start=user.version + 1):
            each.arrival = arrival
        events = [as_event(user.user_id, each) for each in counting([*kept, *session])]
        seen = user.seen() | {event.item_id for event in events} if wish.exclude_seen else set[str]()
        allowed = [item for item in ITEMS if wish.allows(item) and item not in seen and item not in shown]
        ids = [item["item_id"] for item in answer["items"]]
        assert len(ids) == len(set(ids)) == min(n, len(allowed))
        assert set(ids) <= set(allowed)
        excluded = frozenset(wish.exclude) | frozenset(shown) | seen
        query = self._query(History(tuple(events)), wish, n, excluded, wish.allows)
        self._same(answer, self._computed(query, wish))

    def check_order(self, answer: dict[str, Any], user: UserModel, wish: Wish, items: Sequence[str]) -> None:
        """Check the order of given items, seen ones too."""
        known = set(items) & set(ITEMS)
        assert {item["item_id"] for item in answer["items"]} == known
        query = self._query(History(tuple(user.events())), wish, max(len(known), 1), frozenset(), known.__contains__)
        self._same(answer, self._computed(query, wish))

    def _query(self, history: History, wish: Wish, n: int, excluded: frozenset[str], allows: Test) -> Query:
        lifts = () if wish.boost is None else (Lift(BOOSTS[wish.boost][1], self._selection(BOOSTS[wish.boost][2])),)
        is_limited = allows != wish.allows or wish.categories or wish.filter
        return Query(
            history,
            n,
            excluded,
            self._selection(allows) if is_limited else None,
            shows_seen=True,
            lifts=lifts,
            diversity=wish.diversity,
        )

    def _selection(self, allows: Test) -> Selection:
        return Selection.of_ids(self.recommender.items, filter(allows, ITEMS))

    def _computed(self, query: Query, wish: Wish) -> Recommendation:
        if wish.model == POPULAR:
            return self.recommender.popular(query)
        asked = self.recommender if wish.model is None else self.recommender.of_source(wish.model)
        return asked.recommend([query])[0]

    def _same(self, answer: dict[str, Any], expected: Recommendation) -> None:
        assert answer["degraded"] is None
        assert answer["source"] == expected.source
        assert [
            (item["item_id"], item["score"], item["predicted_rating"], item["reason"]) for item in answer["items"]
        ] == [
            (item.item_id, round(item.score, 5), round(item.predicted_rating or 0.0, 2), list(item.reason))
            for item in expected.items
        ]
