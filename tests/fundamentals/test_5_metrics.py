"""Lesson 5: from the draws paid for, the metric follows for every n."""

import pytest

from study import metrics


def test_success_asks_whether_any_of_n_answers_passes() -> None:
    assert metrics.success(passes=0, n=3) == 0.0
    assert metrics.success(passes=1, n=3) == 1.0


def test_expected_success_asks_how_likely_n_answers_drawn_from_these_hold_a_pass() -> None:
    assert metrics.expected_success(passes=1, n=2) == 0.75


def test_ten_paid_draws_answer_for_every_smaller_n() -> None:
    """2 of 10 pass: one answer passes with 0.2; of two, 1 - 8/10 * 7/9 do."""

    def of(n: int) -> float:
        return metrics.mean_over_subsets(metrics.success, draws=10, passes=2, n=n)

    assert of(1) == pytest.approx(0.2)
    assert of(2) == pytest.approx(1 - 8 / 10 * 7 / 9)
    assert of(10) == 1.0


def test_past_the_draws_a_prior_over_pass_probabilities_predicts() -> None:
    """Knowing nothing (Beta(1, 1)), one fresh answer passes half the time; after 8 of 8, 9/10."""

    def of(draws: int, passes: int) -> float:
        return metrics.predicted(
            metrics.success, draws=draws, passes=passes, n=1, alpha=1.0, beta=1.0
        )

    assert of(0, 0) == pytest.approx(1 / 2)
    assert of(8, 8) == pytest.approx(9 / 10)
