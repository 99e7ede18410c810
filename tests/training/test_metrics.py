"""Metrics against the definition, written out slowly."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.metrics import ranking_metrics

LISTS = st.lists(st.integers(0, 30).map(str), unique=True, max_size=20)
WANTED = st.sets(st.integers(0, 30).map(str), max_size=6)


def slow(ranked: list[list[str]], wanted: list[set[str]], k: int) -> dict[str, float]:
    sums = {"HR": 0.0, "NDCG": 0.0, "MRR": 0.0, "Recall": 0.0}
    users = [(items, right) for items, right in zip(ranked, wanted, strict=True) if right]
    for items, right in users:
        hits = [place for place, item in enumerate(items[:k]) if item in right]
        sums["HR"] += bool(hits)
        sums["Recall"] += len(hits) / len(right)
        sums["MRR"] += 1 / (hits[0] + 1) if hits else 0
        ideal = sum(1 / math.log2(place + 2) for place in range(min(k, len(right))))
        sums["NDCG"] += sum(1 / math.log2(place + 2) for place in hits) / ideal
    return {f"{name}@{k}": total / len(users) for name, total in sums.items()}


@given(users=st.lists(st.tuples(LISTS, WANTED), min_size=1, max_size=8))
def test_metrics_are_what_their_definitions_say(users: list[tuple[list[str], set[str]]]) -> None:
    ranked, wanted = [list(items) for items, _ in users], [right for _, right in users]
    measured = ranking_metrics(ranked, wanted)
    if not any(wanted):
        assert measured == {}
        return
    for k in (5, 10, 20):
        for name, value in slow(ranked, wanted, k).items():
            assert measured[name] == pytest.approx(value)


def test_a_perfect_and_a_useless_list() -> None:
    assert set(ranking_metrics([["a", "b"]], [{"a", "b"}], (2,)).values()) == {1.0}
    assert set(ranking_metrics([["c"]], [{"a"}], (2,)).values()) == {0.0}
