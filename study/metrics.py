"""Metrics of n answers, from the counts that were paid for: exact where n <= m, Bayesian past it.

From m draws with c passes, the mean of a metric f(passes, n) over all n-subsets is its expectation
under a hypergeometric law, without bias (for `success` this is pass@k of Chen et al. 2021,
arXiv 2107.03374, eq. 1). For n > m the draws still to come follow a beta-binomial law, given a Beta
prior over pass probabilities.
"""

import math
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


def mean_over_subsets(metric: CountMetric, *, draws: int, passes: int, n: int) -> float:
    """The metric's mean over all n-subsets of the draws (1 <= n <= draws)."""
    if not 1 <= n <= draws or not 0 <= passes <= draws:
        raise ValueError(f"n={n}, passes={passes} of {draws} draws")
    all_subsets = math.comb(draws, n)
    return sum(
        metric(k, n) * (math.comb(passes, k) * math.comb(draws - passes, n - k) / all_subsets)
        for k in range(max(0, n - (draws - passes)), min(passes, n) + 1)
    )


def predicted(
    metric: CountMetric, *, draws: int, passes: int, n: int, alpha: float, beta: float
) -> float:
    """The metric's expectation over n fresh draws, given a Beta(alpha, beta) prior and the counts.

    Args:
        metric: of (passes, n).
        draws: how many were seen; 0 gives the prior's own expectation.
        passes: how many of them passed.
        n: how many answers to predict for.
        alpha: of the prior, above 0.
        beta: of the prior, above 0.
    """
    a, b = alpha + passes, beta + draws - passes
    norm = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    total = 0.0
    for k in range(n + 1):
        value = metric(k, n)
        if value:
            log_weight = (
                math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
                + math.lgamma(a + k) + math.lgamma(b + n - k) - math.lgamma(a + b + n) + norm
            )  # fmt: skip
            total += value * math.exp(log_weight)
    return total
