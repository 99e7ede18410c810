"""Train implicit's alternating least squares at its defaults, but 64 factors; a driver of benchmarks/training.py."""

from __future__ import annotations

from typing import Any

import numpy as np
from epochs import LIST_LENGTH, Epochs, events, options
from implicit.cpu.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix

FACTORS = 64
MOST_ITERATIONS = 1_000


def matrix(rows: list[tuple[str, str]], users: list[str], items: list[str]) -> csr_matrix:
    """Return which user has met which item."""
    place = [{name: index for index, name in enumerate(names)} for names in (users, items)]
    user, item = (np.array([place[side][row[side]] for row in rows]) for side in (0, 1))
    return csr_matrix((np.ones(len(rows), dtype=np.float32), (user, item)), (len(users), len(items)))


def main() -> None:
    epochs, given = Epochs(), options()
    rows = [(event["user_id"], event["item_id"]) for event in events(given.data, "train")]
    users, items = (sorted({row[side] for row in rows}) for side in (0, 1))
    met = matrix(rows, users, items)
    asked = sorted({event["user_id"] for event in events(given.data, "valid")})
    places = np.searchsorted(users, asked)
    model = AlternatingLeastSquares(
        factors=FACTORS, iterations=MOST_ITERATIONS, num_threads=given.threads, random_state=given.seed
    )

    def finish(*_: Any) -> None:  # noqa: ANN401 (the iteration, its time and loss)
        epochs.stop()
        best, _scores = model.recommend(places, met[places], N=LIST_LENGTH, filter_already_liked_items=True)
        epochs.report({user: [items[item] for item in row] for user, row in zip(asked, best, strict=True)})
        epochs.start()

    epochs.start()
    model.fit(met, show_progress=False, callback=finish)


if __name__ == "__main__":
    main()
