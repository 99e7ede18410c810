"""Any interleaving of everything that can happen to two users: after each step the service must equal its model."""

from __future__ import annotations

import itertools
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar
from urllib.parse import quote

import httpx
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from specification_model import Outcome, Sent, UserModel
from specified_answers import UNKNOWN_ITEMS, WISHES, Answers, Wish
from steered_world import ITEMS

WORKERS = 3
STEPS = 30
LIMIT = 12
"""LIVEREC_HISTORY_LIMIT: so small that histories are trimmed."""
FORGOTTEN_FROM = 25
"""Whoever has fewer events is not forgotten, so that there are long histories too."""
DAY = 86_400.0
TIMES = [1_700_000_000.0 + day * DAY for day in range(5)]
POOL = [*ITEMS[:15], *UNKNOWN_ITEMS]
KINDS = ("view", "click", "like", "purchase", "skip", "dislike")
RUN = uuid.uuid4().hex[:8]
NUMBERS = itertools.count()

ITEM = st.sampled_from(POOL)
TIME = st.none() | st.sampled_from(TIMES)
WHO = st.integers(0, 1)
RATING = st.builds(lambda item, rating, at: (item, "rating", rating, at), ITEM, st.sampled_from([1.0, 2.5, 5.0]), TIME)
FEEDBACK = st.builds(lambda item, kind, at: (item, kind, None, at), ITEM, st.sampled_from(KINDS), TIME)
N = st.sampled_from([1, 3, 10, 40])


class Machine(RuleBasedStateMachine):
    """`base_url`: of the service; `answers`: what it must answer. Both are set by who runs it."""

    base_url: ClassVar[str] = ""
    answers: ClassVar[Answers]
    pool: ClassVar[ThreadPoolExecutor]
    done: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        # Without kept connections each request may meet any worker.
        self.http = httpx.Client(base_url=self.base_url, limits=httpx.Limits(max_keepalive_connections=0), timeout=20)
        number = next(NUMBERS)
        self.users = [UserModel(f"{RUN}/{number} ключ {who}", LIMIT) for who in range(2)]
        self.walks: dict[int, tuple[Wish, str, list[str]]] = {}
        self.ids = itertools.count()
        self.changed = {0, 1}
        self.steps = -1

    def teardown(self) -> None:
        self.done["runs"] += 1
        self.done["steps"] += self.steps
        self.done["runs of all steps"] += self.steps >= STEPS
        for who in range(2):
            self.export_equals(who)
        self.http.close()

    @rule(who=WHO, what=RATING)
    def rate(self, who: int, what: tuple[str, str, float, float | None]) -> None:
        self.send("/rate", [(who, self.sent(*what))])

    @rule(who=WHO, what=FEEDBACK)
    def react(self, who: int, what: tuple[str, str, None, float | None]) -> None:
        self.send("/feedback", [(who, self.sent(*what))])

    @rule(lot=st.lists(st.tuples(WHO, RATING), min_size=4, max_size=12))
    def rate_many(self, lot: list[tuple[int, Any]]) -> None:
        self.send("/rate", [(who, self.sent(*what)) for who, what in lot])

    @rule(lot=st.lists(st.tuples(WHO, FEEDBACK), min_size=4, max_size=12))
    def react_many(self, lot: list[tuple[int, Any]]) -> None:
        self.send("/feedback", [(who, self.sent(*what)) for who, what in lot])

    @precondition(lambda self: any(user.log for user in self.users))
    @rule(data=st.data(), among_others=st.booleans())
    def repeat(self, data: st.DataObject, among_others: bool) -> None:
        who, first = data.draw(self.earlier())
        again = Sent(*first.content, first.time, first.event_id)
        if first.kind == "undo":
            self.take_back(who, again)
            return
        others = [(1 - who, self.sent(*data.draw(RATING if first.kind == "rating" else FEEDBACK)))] * among_others
        self.send("/rate" if first.kind == "rating" else "/feedback", [*others, (who, again)])

    @precondition(lambda self: any(user.log for user in self.users))
    @rule(data=st.data(), what=RATING, among_others=st.booleans())
    def claim_the_event_id_of_another(self, data: st.DataObject, what: Any, among_others: bool) -> None:
        who, first = data.draw(self.earlier())
        other = Sent(*what, first.event_id)
        if other.content != first.content:
            others = [(who, self.sent(*what))] * among_others
            self.send("/rate", [(who, other), *others], conflicts=[other.event_id])

    @rule(who=WHO, item=ITEM, at=TIME)
    def undo(self, who: int, item: str, at: float | None) -> None:
        self.take_back(who, self.sent(item, "undo", None, at))

    @precondition(lambda self: any(user.history() for user in self.users))
    @rule(data=st.data(), at=TIME)
    def undo_what_counts(self, data: st.DataObject, at: float | None) -> None:
        who = data.draw(st.sampled_from([who for who, user in enumerate(self.users) if user.history()]))
        item = data.draw(st.sampled_from(sorted(self.users[who].seen())))
        self.take_back(who, self.sent(item, "undo", None, at))

    @precondition(lambda self: any(len(user.log) > FORGOTTEN_FROM for user in self.users))
    @rule(who=WHO)
    def forget(self, who: int) -> None:
        user = self.users[who]
        receipt = self.call("DELETE", f"/users/{self.path(who)}").json()
        assert receipt["events"] == len(user.history()), receipt
        assert receipt["seen_items"] == len(user.seen()), receipt
        assert receipt["log_entries"] == receipt["event_ids"] == len(user.log), receipt
        assert receipt["history_version"] == (user.version or user.forgotten_at), receipt
        self.done["forgotten users"] += bool(user.log)
        user.forget()
        self.changed.add(who)

    @rule(who=WHO, wish=WISHES, n=N)
    def ask(self, who: int, wish: Wish, n: int) -> None:
        user = self.users[who]
        answer = self.call("GET", f"/recommend/{self.path(who)}", params=wish.parameters(n)).json()
        self.answer_equals(answer, user, wish, n)

    @rule(wishes=st.tuples(WISHES, WISHES), n=N)
    def ask_for_both(self, wishes: tuple[Wish, Wish], n: int) -> None:
        pairs = list(zip(self.users, wishes, strict=True))
        queries = [{"user_id": user.user_id, "n": n, **wish.members()} for user, wish in pairs]
        batch = self.call("POST", "/recommend/batch", json={"queries": queries}).json()
        for answer, (user, wish) in zip(batch["answers"], pairs, strict=True):
            self.answer_equals(answer, user, wish, n)

    @rule(who=WHO, wish=WISHES, n=N)
    def begin_a_walk(self, who: int, wish: Wish, n: int) -> None:
        self.walk(who, wish, n, None, [])

    @precondition(lambda self: self.walks)
    @rule(data=st.data(), n=N)
    def go_on(self, data: st.DataObject, n: int) -> None:
        who = data.draw(st.sampled_from(sorted(self.walks)))
        wish, cursor, shown = self.walks.pop(who)
        self.walk(who, wish, n, cursor, shown)

    @rule(
        who=st.none() | WHO,
        lot=st.lists(RATING | FEEDBACK, max_size=4),
        wish=WISHES,
        n=N,
    )
    def visit(self, who: int | None, lot: list[Any], wish: Wish, n: int) -> None:
        user = UserModel("", LIMIT) if who is None else self.users[who]
        lot = [(item, kind, rating, TIMES[-1] + step) for step, (item, kind, rating, _) in enumerate(lot)]
        history = [
            {"item_id": item, "timestamp": at, **({"kind": kind} if rating is None else {"rating": rating})}
            for item, kind, rating, at in lot
        ]
        body = {"history": history, "n": n, **wish.members()} | ({} if who is None else {"user_id": user.user_id})
        answer = self.call("POST", "/session/recommend", json=body).json()
        self.answers.check(answer, user, wish, n, session=[Sent(*each, "") for each in lot])

    @rule(who=WHO, items=st.lists(ITEM, min_size=1, max_size=9), boost=st.sampled_from([None, 0, 1]))
    def put_in_order(self, who: int, items: list[str], boost: int | None) -> None:
        wish = Wish() if boost is None else Wish(boost=boost)
        body = {"user_id": self.users[who].user_id, "items": items, **wish.members()}
        answer = self.call("POST", "/rank", json=body).json()
        assert set(answer["unknown_items"]) == set(items) - set(ITEMS)
        self.answers.check_order(answer, self.users[who], wish, items)

    @invariant()
    def the_service_equals_the_model(self) -> None:
        self.steps += 1
        for who in sorted(self.changed):
            self.history_equals(who)
        who = self.steps % 2
        path = f"/recommend/{self.path(who)}"
        # At once, so that several workers answer.
        everywhere = list(self.pool.map(lambda _: self.call("GET", path).json(), range(WORKERS)))
        for answer in everywhere:
            self.answer_equals(answer, self.users[who], Wish(), 10)
        self.changed.clear()

    def answer_equals(self, answer: dict[str, Any], user: UserModel, wish: Wish, n: int) -> None:
        assert answer["user_id"] == user.user_id
        assert answer["history_version"] == user.version
        self.answers.check(answer, user, wish, n)

    def walk(self, who: int, wish: Wish, n: int, cursor: str | None, shown: Sequence[str]) -> None:
        parameters = wish.parameters(n) | ({} if cursor is None else {"cursor": cursor})
        answer = self.call("GET", f"/recommend/{self.path(who)}", params=parameters).json()
        self.answers.check(answer, self.users[who], wish, n, shown=shown)
        ids = [item["item_id"] for item in answer["items"]]
        assert not set(ids) & set(shown)
        assert (answer["cursor"] is None) == (len(ids) < n)
        if answer["cursor"] is not None:
            self.walks[who] = wish, answer["cursor"], [*shown, *ids]

    def history_equals(self, who: int) -> None:
        user, shown, cursor = self.users[who], list[dict[str, Any]](), {}
        while cursor is not None:
            page = self.call("GET", f"/users/{self.path(who)}/history", params={"n": 5, **cursor}).json()
            assert (page["history_version"], page["degraded"]) == (user.version, None)
            shown += page["events"]
            cursor = None if page["cursor"] is None else {"cursor": page["cursor"]}
        expected = [
            {"item_id": each.item_id, "kind": each.kind, "rating": each.rating, "event_id": each.event_id}
            | {"timestamp": each.time}
            for each in reversed(user.history())
        ]
        assert shown == expected

    def export_equals(self, who: int) -> None:
        user = self.users[who]
        export = self.call("GET", f"/users/{self.path(who)}/export").json()
        assert export["seen_items"] == sorted(user.seen())
        assert [(each["event_id"], each["history_version"]) for each in export["log"]] == [
            (each.event_id, each.arrival) for each in user.log
        ]
        assert export["exposures"] == []

    def sent(self, item: str, kind: str, rating: float | None, at: float | None) -> Sent:
        return Sent(item, kind, rating, at, f"event {next(self.ids)}", is_timed_by_service=at is None)

    def earlier(self) -> st.SearchStrategy[tuple[int, Sent]]:
        return st.sampled_from([(who, each) for who, user in enumerate(self.users) for each in user.log])

    def send(self, path: str, lot: list[tuple[int, Sent]], conflicts: Sequence[str] = ()) -> None:
        body = [self.body(who, each) for who, each in lot]
        before = time.time()
        response = self.call("POST", path, 409 if conflicts else 200, json=body if len(body) > 1 else body[0])
        outcomes = [(who, self.users[who].write(each)) for who, each in lot]
        receipt = response.json()
        assert receipt.get("conflicts", []) == list(conflicts)
        self.receipt_equals(receipt, outcomes)
        self.learn_times(lot, before)

    def take_back(self, who: int, undo: Sent) -> None:
        given = {"event_id": undo.event_id} | ({} if undo.time is None else {"timestamp": repr(undo.time)})
        before = time.time()
        path = f"/rate/{self.path(who)}/{quote(undo.item_id, safe='')}"
        receipt = self.call("DELETE", path, params=given).json()
        outcome = self.users[who].write(undo)
        assert receipt["removed"] == outcome.removed
        self.receipt_equals(receipt, [(who, outcome)])
        self.learn_times([(who, undo)], before)

    def receipt_equals(self, receipt: dict[str, Any], outcomes: list[tuple[int, Outcome]]) -> None:
        new = [each for _, each in outcomes if not (each.is_duplicate or each.is_conflict)]
        versions = dict[str, int]()
        for who, each in outcomes:
            user_id = self.users[who].user_id
            versions[user_id] = max(versions.get(user_id, 0), each.version)
            self.changed.add(who)
            self.done["events"] += 1
            self.done["events of trimmed histories"] += bool(self.users[who].trimmed)
        assert receipt["accepted"] == len(new)
        assert receipt["duplicates"] == sum(each.is_duplicate for _, each in outcomes)
        assert receipt["versions"] == versions

    def learn_times(self, lot: list[tuple[int, Sent]], before: float) -> None:
        """Take the service's own times from the history; they lie between the call and now, later than all others."""
        after = time.time()
        for who in {who for who, each in lot if each.is_timed_by_service}:
            page = self.call("GET", f"/users/{self.path(who)}/history").json()
            times = {each["event_id"]: each["timestamp"] for each in page["events"]}
            for each in self.users[who].log:
                if each.time is None:
                    # What does not count has no time that anybody could see.
                    each.time = times.get(each.event_id, before)
                    assert before - 0.001 <= each.time <= after + 0.001

    def body(self, who: int, sent: Sent) -> dict[str, Any]:
        what = {"kind": sent.kind} if sent.rating is None else {"rating": sent.rating}
        body = {"user_id": self.users[who].user_id, "item_id": sent.item_id, "event_id": sent.event_id, **what}
        return body if sent.time is None else {**body, "timestamp": sent.time}

    def call(self, method: str, path: str, status: int = 200, **given: Any) -> httpx.Response:
        response = self.http.request(method, path, **given)
        assert response.status_code == status, response.text
        self.done["requests"] += 1
        return response

    def path(self, who: int) -> str:
        return quote(self.users[who].user_id, safe="")
