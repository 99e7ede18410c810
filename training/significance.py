"""How far chance alone could move a mean over users, and the difference between two models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
CONFIDENCE = 0.95
RESAMPLES = 1_000
PERMUTATIONS = 10_000
DRAWS_AT_ONCE = 4_000_000


@dataclass(frozen=True, slots=True)
class PairedComparison:
    """The mean of first - second over `users`, its interval, and the two-sided p-value that it is chance."""

    difference: float
    interval: tuple[float, float]
    p_value: float
    users: int


def bootstrap_intervals(
    per_user: Mapping[str, Values], *, resamples: int = RESAMPLES, confidence: float = CONFIDENCE, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """Return percentile bootstrap intervals (Efron, 1979) of the means of arrays [U], all of the same users.

    Whole users are resampled, the same ones for every metric. Where a value is NaN the user does not count; a metric
    that is NaN for everyone has no interval.
    """
    defined = {name: values for name, values in per_user.items() if not np.isnan(values).all()}
    if not defined:
        return {}
    means = _resampled_means(np.stack(list(defined.values()), axis=1), resamples, np.random.default_rng(seed))
    tail = (1.0 - confidence) / 2.0
    low, high = np.nanquantile(means, (tail, 1.0 - tail), axis=0)
    return dict(zip(defined, zip(low.tolist(), high.tolist(), strict=True), strict=True))


def bootstrap_interval(
    values: Values, *, resamples: int = RESAMPLES, confidence: float = CONFIDENCE, seed: int = 0
) -> tuple[float, float]:
    """Return the percentile bootstrap interval of the mean of one array [U]; ValueError if no value is defined."""
    _require_values(int((~np.isnan(values)).sum()))
    return bootstrap_intervals({"": values}, resamples=resamples, confidence=confidence, seed=seed)[""]


def paired_comparison(
    first: Values,
    second: Values,
    *,
    permutations: int = PERMUTATIONS,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> PairedComparison:
    """Compare two models by one metric of the same users in the same order, [U] each.

    The test flips the signs of the users' differences at random (Fisher, 1935; Smucker et al., 2007). Its smallest
    p-value is 1 / (permutations + 1): the observed signs are one of those that chance could give (Phipson & Smyth,
    2010). Users for whom either is NaN do not count; ValueError if none is left or the lengths differ.
    """
    if first.shape != second.shape:
        raise ValueError(f"values of {first.shape} and {second.shape} users; compare the same users in the same order")
    differences = (first - second)[~np.isnan(first - second)]
    _require_values(len(differences))
    return PairedComparison(
        float(differences.mean()),
        bootstrap_interval(differences, resamples=resamples, confidence=confidence, seed=seed),
        _sign_flip_p_value(differences, permutations, np.random.default_rng(seed)),
        len(differences),
    )


def _require_values(count: int) -> None:
    if not count:
        raise ValueError("no user has a value; measure at least one user who wants something")


def _resampled_means(values: Values, resamples: int, random: np.random.Generator) -> Values:
    """Return the means [R,M] of values [U,M] over R resamples of the users."""
    counted = ~np.isnan(values)
    filled, users = np.where(counted, values, 0.0), len(values)
    parts = []
    for rows in _parts(resamples, users):
        drawn = random.integers(0, users, (rows, users)) + users * np.arange(rows)[:, None]
        times = np.bincount(drawn.ravel(), minlength=rows * users).reshape(rows, users).astype(np.float64)
        sums, counts = times @ filled, times @ counted
        parts.append(np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0))
    return np.concatenate(parts)


def _sign_flip_p_value(differences: Values, permutations: int, random: np.random.Generator) -> float:
    # The sign of a zero changes nothing, and most users of a hit rate have one.
    moved = differences[differences != 0]
    observed = abs(moved.sum())
    # Sums in another order differ in their last bits, and ties must count as ties.
    reached = observed - 1e-9 * np.abs(moved).sum()
    as_far = 0
    for rows in _parts(permutations, len(moved)):
        flipped = random.integers(0, 2, (rows, len(moved)), dtype=np.int8)
        as_far += int((np.abs(moved.sum() - 2.0 * (flipped @ moved)) >= reached).sum())
    return (as_far + 1) / (permutations + 1)


def _parts(rows: int, width: int) -> Iterator[int]:
    """Cut a number of rows so that no part has many more than DRAWS_AT_ONCE draws."""
    most = max(1, DRAWS_AT_ONCE // max(width, 1))
    for start in range(0, rows, most):
        yield min(most, rows - start)
