"""The plan that evaluates one config once on each example."""

import statistics

import pytest

from coordinator.held_out import HeldOut
from study.config import Arm, Config
from study.messages import Paid, Scored, Unaffordable, Unevaluated
from study.metrics import success
from study.prices import Price
from study.trials import TrialState

ARM = Arm(model="m", template=0, params={"max_tokens": 10})
PRICE = Price.from_usd(input=1.0, output=10.0)


def plan(examples: int = 3, n: int = 2) -> HeldOut:
    return HeldOut(
        Config(arm=ARM, n=n),
        [f"test-{i}" for i in range(examples)],
        count_metric=success,
        price=PRICE,
        bound=lambda arm, example, draws: 100 * draws,
    )


def scored(example: str, passes: list[bool], **other: object) -> Scored:
    paid = Paid(
        calls=1, prompt_tokens=100, completion_tokens=20, cost_nanodollars=300_000, latency_s=1.0
    )
    return Scored(
        trial=0,
        arm=ARM.key,
        example=example,
        first_draw=0,
        draws=len(passes),
        passes=passes,
        paid=paid,
        **other,
    )


def of(example: str) -> dict[str, object]:
    return {"trial": 0, "arm": ARM.key, "example": example, "first_draw": 0, "draws": 2}


def test_each_example_is_sent_once_with_n_draws() -> None:
    held_out = plan()
    works = [held_out.next(available=10**9) for _ in range(4)]
    assert [(w.example, w.first_draw, w.draws) for w in works if w] == [
        ("test-0", 0, 2),
        ("test-1", 0, 2),
        ("test-2", 0, 2),
    ]
    assert works[3] is None


def test_the_value_is_the_mean_of_what_was_scored_and_the_rest_is_unscored() -> None:
    held_out = plan()
    while held_out.next(available=10**9):
        pass
    held_out.record(scored("test-0", [True, False]))
    held_out.record(scored("test-1", [False, False]))
    assert held_out.finished is None
    held_out.lost(Unevaluated(**of("test-2"), reason="the engine is gone"))
    assert held_out.finished == "every example is evaluated"
    (trial,) = held_out.changed()
    assert trial.state is TrialState.COMPLETE
    assert trial.estimate is not None
    assert trial.estimate.value == 0.5
    assert trial.estimate.std_error == pytest.approx(0.5)
    assert trial.estimate.inference_cost_nanodollars == 300_000
    assert set(held_out.unscored) == {"test-2"}


def test_an_example_whose_metric_raised_is_unscored_and_never_zero() -> None:
    held_out = plan(examples=1)
    held_out.next(available=10**9)
    held_out.record(scored("test-0", [True, True], error="Traceback: ..."))
    assert held_out.recommend() is None
    assert held_out.unscored == {"test-0": "Traceback: ..."}


def test_what_the_ledger_refused_is_asked_for_again_and_given_up_when_nothing_is_out() -> None:
    held_out = plan(examples=1)
    assert held_out.next(available=199) is None
    assert held_out.finished == "the budget cannot pay for another example"
    held_out = plan(examples=2)
    held_out.next(available=200)
    held_out.unaffordable(Unaffordable(**of("test-0"), worst_case_nanodollars=200))
    again = [held_out.next(available=200) for _ in range(2)]
    assert [w.example for w in again if w] == ["test-1", "test-0"]


def test_a_result_of_an_earlier_coordinator_is_not_sent_again() -> None:
    held_out = plan(examples=2)
    held_out.record(scored("test-0", [True, True]))
    work = held_out.next(available=10**9)
    assert work is not None
    assert work.example == "test-1"


def test_an_estimate_is_that_of_all_scores_at_once() -> None:
    held_out = plan(examples=40)
    while held_out.next(available=10**9):
        pass
    values = []
    for i in range(40):
        passes = [i % 3 == 0, i % 5 < 2]
        values.append(success(sum(passes), 2))
        held_out.record(scored(f"test-{i}", passes))
        held_out.record(scored(f"test-{i}", [False, False]))  # a repeat changes nothing
    found = held_out.recommend()
    assert found is not None
    assert found.value == pytest.approx(statistics.fmean(values))
    assert found.std_error == pytest.approx(statistics.stdev(values) / 40**0.5)
    assert (found.examples, found.draws) == (40, 80)


def test_a_result_costs_no_more_the_more_results_there_are() -> None:
    """Neither its score nor its cost is looked at again with each later one."""
    scores = []

    def metric(passes: int, n: int) -> float:
        scores.append(passes)
        return success(passes, n)

    held_out = HeldOut(
        Config(arm=ARM, n=2),
        [f"test-{i}" for i in range(200)],
        count_metric=metric,
        price=PRICE,
        bound=lambda arm, example, draws: 100 * draws,
    )
    for i in range(200):
        held_out.next(available=10**9)
        held_out.record(scored(f"test-{i}", [True, False]))
        held_out.changed()
        held_out.recommend()
    assert len(scores) == 200
