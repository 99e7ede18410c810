"""Every operation of a real service with every kind of key, of each tenant: none does what its key may not do."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
from key_ring import SCOPES, KeyRing, keyed, sent
from served import served
from steered_world import train

from app.service import ROUTERS
from app.timed_route import declared_routes

TENANTS = ("", "acme", "umbrella")
REFUSED = (401, 403)
PROBLEM = "application/problem+json"
PAST = "2020-01-01T00:00:00Z"


@dataclass(frozen=True)
class Operation:
    """A method and a path that one route answers, and the scope that it says to need; None if no key at all."""

    method: str
    path: str
    needed: str | None

    def status(self, scopes: frozenset[str], tenant: str) -> int | None:
        """Return how a key with these scopes must be refused, None if it must be let in."""
        is_metrics_of_tenant = self.needed == "metrics" and tenant
        if self.needed is None or (self.needed in scopes and not is_metrics_of_tenant):
            return None
        return 403


def operations() -> list[Operation]:
    """Return all of the app's, HEAD too; a new route joins by itself."""
    return sorted(
        (
            Operation(method, route.path, None if needed is None else str(needed))
            for route, needed in declared_routes(ROUTERS)
            for method in route.methods or ()
        ),
        key=lambda each: (each.path, each.method),
    )


def url_of(operation: Operation, name: str) -> str:
    """Return a path of the operation; what it names is of nobody else."""
    return (
        operation.path.replace("{ids:path}", f"{name}/x")
        .replace("{user_id:path}", name)
        .replace("{item_id:path}", name)
    )


def wrong_keys(ring: KeyRing) -> dict[str, dict[str, str]]:
    """Return headers that must let nobody in."""
    good = ring.add(*SCOPES)
    other = ring.add("read")
    mixed = f"liverec_{good.split('_')[1]}_{other.split('_')[2]}"
    return {
        "none": {},
        "empty": sent(""),
        "unknown": sent(f"liverec_{'0' * 16}_{'0' * 64}"),
        "secret of another": sent(mixed),
        "cut off": sent(good[:-1]),
        "longer": sent(good + "0"),
        "malformed": sent("Bearer " + good),
        "huge": sent("liverec_" + "x" * 4_000),
        "upper case": sent(good.upper()),
        "basic": {"Authorization": f"Basic {good}"},
        "two": sent(good) | {"Authorization": f"Bearer {good}"},
        "expired": sent(ring.add(*SCOPES, expires=PAST)),
    }


def cases(ring: KeyRing) -> Iterator[tuple[str, dict[str, str], frozenset[str] | None, str]]:
    """Give the name, headers, scopes (None: not good at all) and tenant of each kind of key."""
    for name, headers in wrong_keys(ring).items():
        yield name, headers, None, ""
    for tenant in TENANTS:
        for scopes in [(scope,) for scope in SCOPES] + [SCOPES]:
            key = ring.add(*scopes, tenant=tenant)
            yield f"{'+'.join(scopes)} of {tenant or 'nobody'}", sent(key), frozenset(scopes), tenant
    bearer = ring.add("read")
    yield "bearer", {"Authorization": f"bEARER {bearer}"}, frozenset({"read"}), ""


def run(folder: Path, size: int, seed: int, bundle: Path | None = None) -> dict[str, object]:
    """Ask for everything with every key, `size` times in an order by chance; returns how many cases had what status."""
    bundle = bundle or train(folder / "bundle")
    ring = KeyRing(folder / "keys.toml")
    kinds = list(cases(ring))
    matrix = [(operation, kind) for operation in operations() for kind in kinds] * size
    random.Random(seed).shuffle(matrix)
    statuses: Counter[str] = Counter()
    settings = keyed(ring, [each for each in TENANTS if each], bundle)
    with served(bundle, folder / "var", LIVEREC_WORKERS="2", **settings) as url, httpx.Client(base_url=url) as http:
        for number, (operation, (name, headers, scopes, tenant)) in enumerate(matrix):
            answer = http.request(operation.method, url_of(operation, f"x{number}"), headers=headers)
            expected = 401 if scopes is None and operation.needed else operation.status(scopes or frozenset(), tenant)
            case = f"{operation.method} {operation.path} with the key {name!r}: {answer.status_code}"
            if expected is None:
                assert answer.status_code not in (*REFUSED, 500), f"{case}, it must be let in: {answer.text}"
            else:
                assert answer.status_code == expected, f"{case}, it must be {expected}: {answer.text}"
                assert answer.headers["content-type"] == PROBLEM, case
                assert ("www-authenticate" in answer.headers) is (expected == 401), case
            statuses["let in" if expected is None else str(expected)] += 1
    return {"cases": len(matrix), "operations": len(operations()), "kinds of keys": len(kinds), "leaks": 0, **statuses}
