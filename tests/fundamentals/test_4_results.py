"""Lesson 4: a result is recorded once, and read from a stream."""

import pytest

from study.connection import Client
from study.messages import EvaluateExample, Paid, Scored, Unevaluated
from study.results import Results

MESSAGE = EvaluateExample(study="s", trial=0, arm="arm", example="tune-3", first_draw=0, draws=2)
WHOSE = {"trial": 0, "arm": "arm", "example": "tune-3", "first_draw": 0, "draws": 2}
PAID = Paid(calls=1, prompt_tokens=9, completion_tokens=4, cost_nanodollars=42, latency_s=0.5)
SCORED = Scored(**WHOSE, passes=[True, False], paid=PAID)


@pytest.fixture
def results(client: Client) -> Results:
    return Results(client, "s")


def test_a_message_and_its_result_name_the_same_evaluation() -> None:
    assert MESSAGE.evaluation == SCORED.evaluation == "arm/tune-3/0+2"


def test_a_recorded_result_is_read_back_as_it_was(results: Results) -> None:
    results.record(SCORED)
    [(_, read)] = results.read()
    assert read == SCORED


def test_the_first_write_wins_so_a_task_delivered_twice_counts_once(results: Results) -> None:
    assert results.record(SCORED)
    assert not results.record(SCORED.model_copy(update={"passes": [True, True]}))
    assert [read for _, read in results.read()] == [SCORED]


def test_an_evaluation_that_failed_for_our_reasons_may_be_tried_again(results: Results) -> None:
    results.record(Unevaluated(**WHOSE, reason="the sandbox was away"))
    assert not results.recorded(MESSAGE.evaluation)
    assert results.record(SCORED)
    assert results.recorded(MESSAGE.evaluation)


def test_the_coordinator_reads_on_from_where_it_stopped(results: Results) -> None:
    results.record(SCORED)
    [(position, _)] = results.read()
    assert results.read(after=position) == []
    other = SCORED.model_copy(update={"example": "tune-4"})
    results.record(other)
    assert [read for _, read in results.read(after=position)] == [other]
