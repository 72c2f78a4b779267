"""Lesson 3: what money bought is stored before it is settled, and never bought twice."""

import pytest

from study.connection import Client
from study.paid_calls import Begun, Busy, CallId, Completion, PaidCall, PaidCalls
from study.prices import Usage

CALL = CallId(arm="arm", example="tune-3", first_draw=0, draws=2)
ANSWER = PaidCall(
    reservation=CALL.attempt(1),
    completions=(Completion(text="one", finish_reason="stop"),) * 2,
    usage=Usage(prompt_tokens=10, completion_tokens=4),
    cost_nanodollars=42,
    model="a-model",
    fingerprint="fp",
    latency_s=0.5,
)


@pytest.fixture
def paid_calls(client: Client) -> PaidCalls:
    return PaidCalls(client, "study")


def test_a_call_is_named_for_the_draws_it_buys_so_everybody_gives_it_the_same_name() -> None:
    assert str(CALL) == "arm/tune-3/0+2"
    assert CALL.attempt(1) == "arm/tune-3/0+2#1"


def test_a_worker_begins_a_call_and_is_told_which_attempt_it_is(paid_calls: PaidCalls) -> None:
    assert paid_calls.begin(CALL, holder="me", claim_ms=60_000) == Begun(number=1)


def test_while_one_worker_makes_a_call_it_is_busy_for_all_others(paid_calls: PaidCalls) -> None:
    paid_calls.begin(CALL, holder="me", claim_ms=60_000)
    assert isinstance(paid_calls.begin(CALL, holder="you", claim_ms=60_000), Busy)


def test_a_stored_answer_is_given_to_whoever_begins_the_call_again(paid_calls: PaidCalls) -> None:
    paid_calls.begin(CALL, holder="me", claim_ms=60_000)
    paid_calls.store(CALL, ANSWER, holder="me")
    assert paid_calls.begin(CALL, holder="you", claim_ms=60_000) == ANSWER


def test_a_call_that_bought_nothing_is_abandoned_and_begun_as_the_next_attempt(
    paid_calls: PaidCalls,
) -> None:
    paid_calls.begin(CALL, holder="me", claim_ms=60_000)
    paid_calls.abandon(CALL, holder="me")
    assert paid_calls.begin(CALL, holder="you", claim_ms=60_000) == Begun(number=2)


def test_all_answers_of_an_arm_and_example_are_one_pool(paid_calls: PaidCalls) -> None:
    paid_calls.store(CALL, ANSWER, holder="me")
    assert list(paid_calls.texts("arm", "tune-3").values()) == ["one", "one"]
