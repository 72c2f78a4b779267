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


COUNT_METRICS: dict[str, CountMetric] = {
    "success": success,
    "expected_success": expected_success,
    "pass_rate": pass_rate,
}
