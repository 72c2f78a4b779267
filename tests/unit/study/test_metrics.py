"""Metrics from counts."""

import itertools

import pytest

from study import metrics

METRICS = list(metrics.COUNT_METRICS.values())
MANY = pytest.mark.parametrize("metric", METRICS, ids=list(metrics.COUNT_METRICS))


@MANY
def test_none_that_passes_is_worth_nothing_and_more_are_never_worth_less(
    metric: metrics.CountMetric,
) -> None:
    for n in (1, 2, 7, 1000):
        worth = [metric(passes, n) for passes in range(n + 1)]
        assert worth[0] == 0
        assert worth == sorted(worth)
        assert worth[-1] == 1


def test_expected_success_lies_between_the_pass_rate_and_success() -> None:
    for n, passes in itertools.product((1, 3, 50), range(51)):
        if passes <= n:
            low, high = metrics.pass_rate(passes, n), metrics.success(passes, n)
            assert low - 1e-12 <= metrics.expected_success(passes, n) <= high
