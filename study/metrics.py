"""Metrics of n answers, from how many of them pass.

What they are worth before n answers are bought is the search's to say: it believes a pass probability
of each example (coordinator/abilities.py) and takes the metric's mean under it, for n seen or not.
"""

from collections.abc import Callable

CountMetric = Callable[[int, int], float]
"""f(passes, n): what n answers of which so many pass are worth."""


def success(passes: int, n: int) -> float:
    """1 if at least one of n answers passes."""
    return 1.0 if 0 < passes <= n else 0.0


def expected_success(passes: int, n: int) -> float:
    """1 - (1 - passes/n)^n: the chance that n answers drawn from these n hold one that passes."""
    return float(1.0 - (1.0 - passes / n) ** n)


def pass_rate(passes: int, n: int) -> float:
    """The share of answers that pass."""
    return passes / n


def every(passes: int, n: int) -> float:
    """1 if all of n answers pass."""
    return 1.0 if passes == n else 0.0


def expected_every(passes: int, n: int) -> float:
    """(passes/n)^n: the chance that n answers drawn from these n all pass."""
    return float((passes / n) ** n)


def majority(passes: int, n: int) -> float:
    """1 if more than half of n answers pass."""
    return 1.0 if 2 * passes > n else 0.0


def half(passes: int, n: int) -> float:
    """1 if at least half of n answers pass."""
    return 1.0 if 2 * passes >= n else 0.0


COUNT_METRICS: dict[str, CountMetric] = {
    "success": success,
    "expected_success": expected_success,
    "pass_rate": pass_rate,
}
"""Those that a study may name where the evaluator judges each answer."""

RECOGNISED: dict[str, CountMetric] = {
    "pass_rate": pass_rate,
    "every": every,
    "expected_every": expected_every,
    "majority": majority,
    "half": half,
    "expected_success": expected_success,
    "success": success,
}
"""What a user's function may turn out to be (`resampling`), what expects least of more answers first."""
