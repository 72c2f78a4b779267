"""Metrics from counts, against brute force, a published formula and numeric integration."""

import itertools
import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from study import metrics

METRICS = list(metrics.COUNT_METRICS.values())
MANY = pytest.mark.parametrize("metric", METRICS, ids=list(metrics.COUNT_METRICS))


@MANY
@pytest.mark.parametrize("draws", [1, 2, 5, 8])
def test_the_mean_over_subsets_is_that_of_judging_every_subset(
    metric: metrics.CountMetric, draws: int
) -> None:
    for passes, n in itertools.product(range(draws + 1), range(1, draws + 1)):
        pool = [1] * passes + [0] * (draws - passes)
        judged = [metric(sum(subset), n) for subset in itertools.combinations(pool, n)]
        found = metrics.mean_over_subsets(metric, draws=draws, passes=passes, n=n)
        assert found == pytest.approx(statistics.fmean(judged), abs=1e-12)


@given(st.integers(1, 200), st.data())
def test_success_over_subsets_is_pass_at_k_of_chen_et_al(draws: int, data: st.DataObject) -> None:
    """arXiv 2107.03374, listing 1, in its own numerically stable form."""
    passes = data.draw(st.integers(0, draws))
    n = data.draw(st.integers(1, draws))
    if draws - passes < n:
        chen = 1.0
    else:
        chen = 1.0 - float(np.prod(1.0 - n / np.arange(draws - passes + 1, draws + 1)))
    found = metrics.mean_over_subsets(metrics.success, draws=draws, passes=passes, n=n)
    assert found == pytest.approx(chen, abs=1e-9)


@given(st.integers(1, 300), st.data())
def test_the_pass_rate_is_the_same_for_every_n(draws: int, data: st.DataObject) -> None:
    passes = data.draw(st.integers(0, draws))
    n = data.draw(st.integers(1, draws))
    found = metrics.mean_over_subsets(metrics.pass_rate, draws=draws, passes=passes, n=n)
    assert found == pytest.approx(passes / draws, abs=1e-9)


@MANY
def test_a_thousand_draws_neither_overflow_nor_leave_zero_to_one(
    metric: metrics.CountMetric,
) -> None:
    for passes, n in itertools.product((0, 1, 500, 999, 1000), (1, 500, 1000)):
        found = metrics.mean_over_subsets(metric, draws=1000, passes=passes, n=n)
        assert -1e-9 <= found <= 1 + 1e-9


@pytest.mark.parametrize(("draws", "passes", "n"), [(3, 1, 0), (3, 1, 4), (3, 4, 2), (3, -1, 2)])
def test_what_no_subset_can_answer_is_refused(draws: int, passes: int, n: int) -> None:
    with pytest.raises(ValueError, match=f"n={n}"):
        metrics.mean_over_subsets(metrics.success, draws=draws, passes=passes, n=n)


@MANY
@pytest.mark.parametrize(
    ("draws", "passes", "n", "alpha", "beta"),
    [(0, 0, 1, 1.0, 1.0), (4, 1, 10, 2.0, 3.5), (10, 10, 30, 1.5, 4.0), (20, 0, 5, 3.0, 2.0)],
)
def test_the_prediction_is_the_integral_over_the_posterior(
    metric: metrics.CountMetric, draws: int, passes: int, n: int, alpha: float, beta: float
) -> None:
    """Of the metric's mean under a binomial law, weighted by the Beta posterior of its p."""
    p = (np.arange(200_000) + 0.5) / 200_000
    density = p ** (alpha + passes - 1) * (1 - p) ** (beta + draws - passes - 1)
    mean = sum(metric(k, n) * math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1))
    integral = float(np.sum(mean * density) / np.sum(density))
    found = metrics.predicted(metric, draws=draws, passes=passes, n=n, alpha=alpha, beta=beta)
    assert found == pytest.approx(integral, abs=1e-6)


@given(
    st.integers(0, 50), st.data(), st.integers(1, 128), st.floats(0.01, 100), st.floats(0.01, 100)
)
def test_the_predicted_chances_sum_to_one(
    draws: int, data: st.DataObject, n: int, alpha: float, beta: float
) -> None:
    passes = data.draw(st.integers(0, draws))
    total = metrics.predicted(
        lambda passes, n: 1.0, draws=draws, passes=passes, n=n, alpha=alpha, beta=beta
    )
    assert total == pytest.approx(1.0, abs=1e-8)


def test_more_answers_never_lower_success() -> None:
    known = [
        metrics.mean_over_subsets(metrics.success, draws=20, passes=3, n=n) for n in range(1, 21)
    ]
    fresh = [
        metrics.predicted(metrics.success, draws=20, passes=3, n=n, alpha=1.0, beta=1.0)
        for n in range(1, 60)
    ]
    assert known == sorted(known)
    assert fresh == sorted(fresh)
