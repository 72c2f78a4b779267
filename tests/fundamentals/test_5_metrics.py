"""Lesson 5: a metric judges n answers by how many pass; from a pass probability it follows for every n."""

import math

import pytest

from study import metrics


def test_success_asks_whether_any_of_n_answers_passes() -> None:
    assert metrics.success(passes=0, n=3) == 0.0
    assert metrics.success(passes=1, n=3) == 1.0


def test_expected_success_asks_how_likely_n_answers_drawn_from_these_hold_a_pass() -> None:
    assert metrics.expected_success(passes=1, n=2) == 0.75


def test_what_an_arm_is_worth_for_every_n_follows_from_its_pass_probability() -> None:
    """With 0.2: one answer passes in a fifth of all cases, one of two in 1 - 0.8^2.

    The search doesn't know the 0.2: it believes a distribution of it, for each example, from the draws of
    all arms, and takes this mean under it. So ten draws answer for two answers as for fifty.
    """

    def mean(metric: metrics.CountMetric, n: int) -> float:
        chances = [math.comb(n, k) * 0.2**k * 0.8 ** (n - k) for k in range(n + 1)]
        return sum(chance * metric(k, n) for k, chance in enumerate(chances))

    assert mean(metrics.success, 1) == pytest.approx(0.2)
    assert mean(metrics.success, 2) == pytest.approx(1 - 0.8**2)
    assert mean(metrics.pass_rate, 50) == pytest.approx(0.2)
    assert mean(metrics.success, 50) > mean(metrics.expected_success, 50)
