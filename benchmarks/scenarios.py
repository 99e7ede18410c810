"""Scenarios: what the service is asked in benchmarks/serving.py."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import traffic
from traffic import Sent

REQUESTS = 5_000
SCENARIOS = (
    "cached",
    "computed",
    "after a rating",
    "mixed, 1 rating to 9 reads",
    "rate",
    "filter",
    "explain",
    "batch of 20",
)


@dataclass(frozen=True, slots=True)
class Scenario:
    """Requests to one of the services: `cached` keeps answers, as `rated` does till a rating; `computed` keeps none."""

    service: str
    requests: list[Sent]


def scenarios(item_ids: list[str], random: np.random.Generator) -> dict[str, Scenario]:
    who = traffic.users(REQUESTS, random)
    items = [item_ids[each] for each in random.integers(len(item_ids), size=REQUESTS).tolist()]
    values = (1 + random.integers(5, size=REQUESTS)).tolist()
    rates = [traffic.rating(*each) for each in zip(who, items, values, strict=True)]
    reads = [traffic.recommend(user) for user in who]
    queries = [{"user_id": user} for user in who]
    mixed = [
        rate if chance < 0.1 else read for rate, read, chance in zip(rates, reads, random.random(REQUESTS), strict=True)
    ]
    return {
        "cached": Scenario("cached", reads),
        "computed": Scenario("computed", reads),
        "after a rating": Scenario("rated", [each for pair in zip(rates, reads, strict=True) for each in pair]),
        "mixed, 1 rating to 9 reads": Scenario("rated", mixed),
        "rate": Scenario("rated", rates),
        "filter": Scenario("computed", [traffic.recommend(user, filter="year >= 1990") for user in who]),
        "explain": Scenario("computed", [traffic.recommend(user, explain="true") for user in who]),
        "batch of 20": Scenario(
            "computed",
            [traffic.post("/recommend/batch", {"queries": queries[at : at + 20]}) for at in range(0, 1_000, 20)],
        ),
    }


def peer_requests() -> list[Sent]:
    who = traffic.users(REQUESTS, np.random.default_rng(1))
    return [traffic.post("/embed/recommend", {"user": user, "n_rec": 10}) for user in who]
