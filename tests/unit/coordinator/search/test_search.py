"""What the search promises, on a surface of known truth."""

import random
import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from coordinator import reading
from coordinator.plan import Work
from coordinator.search import BUDGET_SPENT, REST_TOO_SMALL, SETTLED, Search
from study import resampling
from study.config import Arm, Config
from study.messages import Scored
from study.trials import TrialState

from .conftest import DOLLAR, EXAMPLES, Loop, cost, passing, true_value, worst_case

MakeSearch = Callable[..., Search]
Answers = Callable[[Work, np.random.Generator], dict[str, Any]]
DONE = ("the space is exhausted", "more money would not change the answer")


def test_the_recommendation_is_nearly_as_good_as_the_best_and_fits_the_inference_budget(
    make_search: MakeSearch,
) -> None:
    search = make_search()
    Loop(search, DOLLAR // 2).run()
    found = search.recommend()
    assert found is not None
    assert found.config.arm.template == 1
    assert true_value(found.config) >= 0.86  # the best that the budget affords is 0.903
    assert cost(found.config) <= DOLLAR // 100
    assert abs(found.value - true_value(found.config)) <= 2 * found.std_error


@pytest.mark.parametrize("budget_usd", [0.01, 0.1])
def test_spent_and_reserved_never_pass_the_budget(
    make_search: MakeSearch, budget_usd: float
) -> None:
    budget = int(budget_usd * DOLLAR)
    loop = Loop(make_search(optimization_limit=budget), budget)
    loop.run()  # asserts at every reservation
    assert 0 < loop.spent <= budget


@pytest.mark.parametrize("budget", [DOLLAR // 800, DOLLAR // 200, DOLLAR // 190, DOLLAR // 40])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_search_that_could_afford_another_call_makes_it_or_says_why_not(
    make_search: MakeSearch, budget: int, seed: int
) -> None:
    """What is left at the end is less than the cheapest answer's worst case, else the reason is another."""
    search = make_search(optimization_limit=budget, trials_max=None)
    loop = Loop(search, budget, seed=seed)
    why = loop.run()
    left = budget - loop.spent
    cheapest = min(worst_case(trial.arm, EXAMPLES[0], 1) for trial in search.trials)
    if why == BUDGET_SPENT:
        assert left < cheapest
    else:
        assert why in (REST_TOO_SMALL, SETTLED)
    assert loop.reserved == 0


def test_the_last_dollars_are_not_stranded_by_large_evaluations(make_search: MakeSearch) -> None:
    """Of a model whose answers are all worth more: to the last one that can be paid."""
    for budget in (DOLLAR // 200, DOLLAR // 150, DOLLAR // 130):
        search = make_search({"model": "cheap"}, optimization_limit=budget)
        loop = Loop(search, budget)
        assert loop.run() == BUDGET_SPENT
        assert min(work.draws for work in loop.works) == 1
        assert budget - loop.spent < min(worst_case(t.arm, EXAMPLES[0], 1) for t in search.trials)


def test_money_too_little_for_one_example_is_used_on_the_others(make_search: MakeSearch) -> None:
    """Most rows are long here: what can't pay for one of those still pays for a short one."""
    short = EXAMPLES[5:7]

    def bound(arm: Arm, example: str, draws: int) -> int:
        return worst_case(arm, example, draws) * (1 if example in short else 1000)

    budget = 4 * worst_case(Arm(model="cheap", template=0, params={"max_tokens": 400}), "", 1)
    table = {"model": "cheap", "prompt": "{a}", "temperature": 0.8}
    search = make_search(table, optimization_limit=budget, bound=bound)
    loop = Loop(search, budget, bound=bound)
    assert loop.run() in (BUDGET_SPENT, REST_TOO_SMALL)
    assert {work.example for work in loop.works} == set(short)


def test_an_arm_seen_on_too_few_examples_is_recommended_where_there_is_no_other(
    make_search: MakeSearch,
) -> None:
    budget = 4 * worst_case(Arm(model="cheap", template=0, params={"max_tokens": 400}), "", 1)
    loop = Loop(make_search(optimization_limit=budget), budget)
    loop.run()
    found = loop.search.recommend()
    assert loop.results
    assert found is not None
    assert found.examples < 0.4 * len(EXAMPLES)


def test_a_budget_below_one_evaluation_finishes_at_once_and_recommends_nothing(
    make_search: MakeSearch,
) -> None:
    search = make_search(optimization_limit=10)
    assert search.next(available=10) is None
    assert search.finished == BUDGET_SPENT
    assert search.recommend() is None


def test_no_draw_is_asked_for_twice(make_search: MakeSearch) -> None:
    loop = Loop(make_search(), DOLLAR // 8)
    loop.run()
    draws = [
        (work.arm.key, work.example, work.first_draw + i)
        for work in loop.works
        for i in range(work.draws)
    ]
    assert len(draws) == len(set(draws))


def test_no_arm_is_tried_twice(make_search: MakeSearch) -> None:
    search = make_search(trials_max=30)
    Loop(search, DOLLAR // 8).run()
    keys = [trial.arm.key for trial in search.trials]
    assert len(keys) == len(set(keys)) > 4


def test_arms_that_break_the_inference_budget_die_after_their_first_examples(
    make_search: MakeSearch,
) -> None:
    limit = cost_of_one_dear_answer() // 2
    search = make_search(inference_limit=limit)
    loop = Loop(search, DOLLAR // 4)
    loop.run()
    dear = [trial for trial in search.trials if trial.arm.model == "dear"]
    assert {trial.state for trial in dear} <= {TrialState.PRUNED}
    assert all("above the inference budget" in trial.reason for trial in dear)
    assert sum(work.arm.model == "dear" for work in loop.works) <= 16  # what 8 slots had out
    found = search.recommend()
    assert found is not None
    assert found.config.arm.model == "cheap"
    assert found.inference_cost_nanodollars <= limit


def test_an_arm_that_repeats_itself_is_asked_one_draw_at_a_time_and_answers_once(
    make_search: MakeSearch,
) -> None:
    search = make_search({"temperature": 0.0})
    loop = Loop(search, DOLLAR // 4)
    assert loop.run() in DONE
    assert {work.draws for work in loop.works} == {1}
    found = search.recommend()
    assert found is not None
    assert found.config.n == 1


def test_a_finite_space_comes_to_an_end(make_search: MakeSearch) -> None:
    search = make_search({"temperature": [0.5, 1.0]}, trials_max=None)
    Loop(search, 20 * DOLLAR).run()
    assert 2 <= len(search.trials) <= 8
    assert search.finished in DONE


def test_a_space_of_one_arm_is_seen_on_all_examples(make_search: MakeSearch) -> None:
    search = make_search({"model": "cheap", "prompt": "{a}", "temperature": 0.8})
    loop = Loop(search, DOLLAR)
    assert loop.run() in DONE
    found = search.recommend()
    assert found is not None
    assert found.examples == len(EXAMPLES)


def test_where_nothing_fits_the_inference_budget_one_arm_proves_it(make_search: MakeSearch) -> None:
    search = make_search({"model": "dear", "prompt": "{a}", "temperature": 0.8}, inference_limit=1)
    loop = Loop(search, DOLLAR)
    assert loop.run() == "no configuration that was tried fits the inference budget"
    assert search.recommend() is None
    assert len(search.trials) == 1


def test_only_as_many_arms_are_tried_as_asked_for(make_search: MakeSearch) -> None:
    search = make_search(trials_max=3)
    assert Loop(search, 20 * DOLLAR).run() == "as many trials as asked for"
    assert len(search.trials) == 3
    assert all(trial.state.finished for trial in search.trials)


def test_money_that_cannot_change_the_answer_stays_unspent(make_search: MakeSearch) -> None:
    def solved(work: Work, _: np.random.Generator) -> dict[str, Any]:
        return {"passes": [True] * work.draws}

    search = make_search(trials_max=None)
    loop = Loop(search, 20 * DOLLAR, answers=solved)
    assert loop.run() == "more money would not change the answer"
    assert loop.spent < DOLLAR
    found = search.recommend()
    assert found is not None
    assert found.config.arm.model == "cheap"


def test_a_small_metric_is_sought_where_the_mode_is_min(make_search: MakeSearch) -> None:
    search = make_search(mode="min")
    Loop(search, DOLLAR // 4).run()
    found = search.recommend()
    assert found is not None
    assert (found.config.arm.model, found.config.arm.template) == ("cheap", 0)
    assert found.config.n == 1
    assert 0 <= found.value < 0.6


@pytest.mark.parametrize("mode", ["max", "min"])
def test_metrics_that_judge_answers_together_go_the_same_way(
    make_search: MakeSearch, mode: str
) -> None:
    sign = 1 if mode == "max" else -1

    def graded(work: Work, random: np.random.Generator) -> dict[str, Any]:
        grade = 10 * passing(work.arm, work.example) + random.normal(0, 0.5)
        draws = work.first_draw + work.draws
        return {
            "curve": {n: sign * (grade + 0.3 * np.log2(n)) for n in (1, 2, 4, 8, 16) if n <= draws}
        }

    search = make_search(count_metric=None, mode=mode)
    Loop(search, DOLLAR // 2, answers=graded).run()
    found = search.recommend()
    assert found is not None
    assert (found.config.arm.model, found.config.arm.template) == ("dear", 1)
    assert found.lower < found.value < found.upper
    assert sign * found.value > 7


def as_a_function(judge: resampling.Judge, *, mode: Any = "max") -> Answers:
    """Answers that pass at random, as a worker tells of them that calls a user's function."""
    bought: dict[tuple[str, str], dict[int, str]] = defaultdict(dict)

    def told(work: Work, random: np.random.Generator) -> dict[str, Any]:
        texts = bought[work.arm.key, work.example]
        for draw in range(work.first_draw, work.first_draw + work.draws):
            passes = random.random() < passing(work.arm, work.example)
            texts[draw] = "right" if passes else f"wrong {draw}"
        found = resampling.resample(judge, list(texts.values()), mode=mode, seed=0)
        return found.told(texts, first_draw=work.first_draw, draws=work.draws)

    return told


@pytest.mark.parametrize("mode", ["max", "min"])
def test_a_users_function_that_counts_good_answers_is_searched_as_counts_are(
    make_search: MakeSearch, mode: str
) -> None:
    def judge(texts: Sequence[str]) -> float:
        return float(("right" in texts) == (mode == "max"))

    search = make_search(count_metric=None, mode=mode)
    loop = Loop(search, DOLLAR // 4, answers=as_a_function(judge, mode=mode))
    loop.run()
    found = search.recommend()
    assert found is not None
    if mode == "min":
        assert found.value < 0.25
    assert true_value(found.config) > 0.8
    assert found.config.n > max(work.draws for work in loop.works if work.arm == found.config.arm)


def test_a_users_function_that_stops_counting_is_judged_by_its_curves(
    make_search: MakeSearch,
) -> None:
    counted = make_search(count_metric=None)
    loop = Loop(counted, DOLLAR // 8, answers=as_a_function(lambda texts: float("right" in texts)))
    loop.run(works_max=60)
    odd = loop.results[-1].model_copy(update={"counts_as": []})
    found = []
    for results in (loop.results, [*loop.results[:-1], odd], [odd, *loop.results[:-1]]):
        search = make_search(count_metric=None)
        search.restore(counted.trials)
        for result in results:
            search.record(result)
        search.conclude()
        found.append(search.pareto_front())
    assert found[0] != found[1]
    assert found[1] == found[2]


def test_what_is_answered_rests_on_what_the_function_was_seen_to_be(
    make_search: MakeSearch,
) -> None:
    """One draw an example: nothing says what several are worth."""
    search = make_search({"n": {"low": 1, "high": 16}}, count_metric=None, trials_max=1)
    told = as_a_function(lambda texts: float("right" in texts))
    loop = Loop(search, DOLLAR, answers=told)
    work = search.next(available=DOLLAR)
    assert work is not None
    for example in EXAMPLES:
        one = replace(work, example=example, first_draw=0, draws=1)
        search.record(loop.answer(one, np.random.default_rng(int(example[5:]))))
    search.conclude()
    found = search.recommend()
    assert found is not None
    assert found.config.n == 1


def test_a_resumed_search_recommends_the_same_given_the_same_results(
    make_search: MakeSearch,
) -> None:
    first = make_search()
    loop = Loop(first, DOLLAR // 4)
    loop.run(works_max=60)
    resumed = make_search()
    resumed.restore(first.trials)
    for result in loop.results:
        resumed.record(result)
    first.conclude()
    resumed.conclude()
    assert resumed.recommend() == first.recommend()
    assert [t.arm for t in resumed.trials] == [t.arm for t in first.trials]
    work = resumed.next(available=DOLLAR)
    assert work is not None
    asked = {(r.arm, r.example, r.first_draw) for r in loop.results}
    assert (work.arm.key, work.example, work.first_draw) not in asked


@pytest.mark.parametrize(
    "judge",
    [
        None,
        lambda texts: float("right" in texts),
        lambda texts: float(texts.count("right") * 2 > len(texts)) + 0.1 * len(set(texts)),
    ],
    ids=["passes", "a function that counts", "a function of answers together"],
)
def test_the_recommendation_does_not_depend_on_the_order_of_the_results(
    make_search: MakeSearch, judge: resampling.Judge | None
) -> None:
    changes = {"count_metric": None} if judge else {}
    first = make_search(**changes)
    loop = Loop(first, DOLLAR // 4, answers=as_a_function(judge) if judge else None)
    loop.run(works_max=100)
    shuffled = make_search(**changes)
    shuffled.restore(first.trials)
    for result in random.Random(1).sample(loop.results, len(loop.results)):
        shuffled.record(result)
    first.conclude()
    shuffled.conclude()
    found, expected = shuffled.recommend(), first.recommend()
    assert found is not None
    assert expected is not None
    assert found.config == expected.config
    assert found.value == pytest.approx(expected.value)


def test_a_refused_configuration_fails_and_the_search_goes_on(make_search: MakeSearch) -> None:
    search = make_search()
    work = search.next(available=DOLLAR)
    assert work is not None
    search.fail(work.trial, "unknown parameter")
    Loop(search, DOLLAR // 10).run()
    failed = search.trials[work.trial]
    assert (failed.state, failed.reason) == (TrialState.FAILED, "unknown parameter")
    found = search.recommend()
    assert found is not None
    assert found.config.arm != work.arm


def test_what_the_ledger_refused_is_asked_for_again(make_search: MakeSearch) -> None:
    search = make_search()
    work = search.next(available=DOLLAR)
    assert work is not None
    search.unaffordable(work)
    assert search.next(available=DOLLAR) == work


def test_what_was_given_up_is_not_asked_for_again(make_search: MakeSearch) -> None:
    search = make_search()
    lost = search.next(available=DOLLAR)
    assert lost is not None
    search.lost(lost)
    loop = Loop(search, DOLLAR // 10)
    assert loop.run() is not None
    assert lost not in loop.works


def test_results_with_errors_say_nothing_but_their_cost_counts(make_search: MakeSearch) -> None:
    def raising(work: Work, _: np.random.Generator) -> dict[str, Any]:
        return {"passes": [], "error": "ZeroDivisionError"}

    search = make_search()
    loop = Loop(search, DOLLAR // 20, answers=raising)
    assert loop.run() is not None
    assert search.recommend() is None
    assert search.completions_paid == sum(result.draws for result in loop.results) > 0


def test_many_slots_are_supplied_at_once_from_several_arms(make_search: MakeSearch) -> None:
    search = make_search()
    works = [search.next(available=100 * DOLLAR) for _ in range(64)]
    assert None not in works
    assert len({work.trial for work in works if work is not None}) > 4


def test_every_change_of_a_trial_is_reported_once(make_search: MakeSearch) -> None:
    search = make_search()
    Loop(search, DOLLAR // 10).run()
    reported = {trial.number: trial for trial in search.changed()}
    assert [reported[t.number] for t in search.trials] == list(search.trials)
    assert search.changed() == []


def test_the_pareto_front_rises_with_cost_and_holds_the_recommendation(
    make_search: MakeSearch,
) -> None:
    search = make_search()
    Loop(search, DOLLAR // 4).run()
    front = search.pareto_front()
    costs = [estimate.inference_cost_nanodollars for estimate in front]
    assert costs == sorted(costs)
    assert len(front) > 2
    assert all(estimate.inference_cost_nanodollars <= DOLLAR // 100 for estimate in front)


def test_proposals_made_ahead_lead_to_the_same_kind_of_answer(make_search: MakeSearch) -> None:
    search = make_search(proposer=None)
    loop = Loop(search, DOLLAR // 4)
    try:
        while search.finished is None:
            loop.run()
    finally:
        search.close()
    found = search.recommend()
    assert found is not None
    assert true_value(found.config) > 0.85


def to_the_end(loop: Loop) -> None:
    while loop.search.finished is None:
        loop.run()


def test_work_is_given_while_results_are_read(
    make_search: MakeSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads, may_read = reading.read, threading.Event()

    def slowly(*args: Any, **kwargs: Any) -> reading.Reading:
        assert may_read.wait(60)
        return reads(*args, **kwargs)

    monkeypatch.setattr(reading, "read", slowly)
    search = make_search(proposer=None)
    loop = Loop(search, DOLLAR // 4, slots=12)
    try:
        while len(loop.results) < 16:  # the first four of them are being read
            loop.run(works_max=len(loop.works) + 8)
            assert search.finished is None
        may_read.set()
        to_the_end(loop)
    finally:
        may_read.set()
        search.close()
    assert search.recommend() is not None


def test_a_reading_that_fails_is_not_lost(
    make_search: MakeSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def badly(*_: Any, **__: Any) -> reading.Reading:
        raise ZeroDivisionError

    monkeypatch.setattr(reading, "read", badly)
    search = make_search(proposer=None)
    loop = Loop(search, DOLLAR // 4)
    try:
        with pytest.raises(ZeroDivisionError):
            to_the_end(loop)
    finally:
        search.close()


def cost_of_one_dear_answer() -> int:
    return cost(Config(arm=Arm(model="dear", template=0), n=1))


def test_every_example_has_an_index(make_search: MakeSearch) -> None:
    search = make_search()
    loop = Loop(search, DOLLAR // 4)
    loop.run()
    assert {result.example for result in loop.results} == set(EXAMPLES)
    assert all(isinstance(result, Scored) for result in loop.results)
