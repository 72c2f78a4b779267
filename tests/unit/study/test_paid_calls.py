"""Paid calls: claims, attempts, answers stored once, partial fills."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from study import keys
from study.connection import Client
from study.paid_calls import Begun, Busy, CallId, Completion, PaidCall, PaidCalls
from study.prices import Usage

CLAIM_MS = 60_000


def call(first_draw: int, draws: int) -> CallId:
    return CallId(arm="arm", example="tune-3", first_draw=first_draw, draws=draws)


def answer(*texts: str, reservation: str = "r#1") -> PaidCall:
    return PaidCall(
        reservation=reservation,
        completions=tuple(Completion(text=text, finish_reason="stop", tokens=1) for text in texts),
        usage=Usage(prompt_tokens=10, completion_tokens=len(texts)),
        cost_nanodollars=42,
        model="m",
        fingerprint="",
        latency_s=0.5,
    )


@pytest.fixture
def paid_calls(client: Client) -> PaidCalls:
    return PaidCalls(client, "s")


def test_an_answer_survives_its_json() -> None:
    paid = answer("a\n\u00e4\U0001f600", "")
    assert PaidCall.from_json(paid.to_json()) == paid


def test_of_many_workers_that_begin_at_once_one_makes_the_call(paid_calls: PaidCalls) -> None:
    def begin(worker: int) -> Begun | Busy | PaidCall:
        return paid_calls.begin(call(0, 2), holder=f"w{worker}", claim_ms=CLAIM_MS)

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(begin, range(32)))
    assert answers.count(Begun(number=1)) == 1
    waiting = [found for found in answers if isinstance(found, Busy)]
    assert len(waiting) == 31
    assert {busy.holder for busy in waiting} <= {f"w{worker}" for worker in range(32)}


def test_a_dead_workers_claim_ends_by_itself_and_the_next_attempt_has_the_next_number(
    paid_calls: PaidCalls, client: Client
) -> None:
    paid_calls.begin(call(0, 2), holder="dead", claim_ms=CLAIM_MS)
    assert 0 < client.pttl(keys.claim("s", str(call(0, 2)))) <= CLAIM_MS
    client.pexpire(keys.claim("s", str(call(0, 2))), 0)  # as if the claim's time had passed
    again = paid_calls.begin(call(0, 2), holder="me", claim_ms=CLAIM_MS)
    assert again == Begun(number=2)


def test_beginning_twice_as_the_same_holder_is_one_attempt(paid_calls: PaidCalls) -> None:
    """A client that lost the first answer asks again by itself: it must not wait for itself."""
    for _ in range(2):
        begun = paid_calls.begin(call(0, 2), holder="me", claim_ms=CLAIM_MS)
        assert begun == Begun(number=1)


def test_attempts_are_counted_for_each_call_apart(paid_calls: PaidCalls) -> None:
    for number in (1, 2, 3):
        begun = paid_calls.begin(call(0, 2), holder="me", claim_ms=CLAIM_MS)
        assert begun == Begun(number=number)
        paid_calls.abandon(call(0, 2), holder="me")
    assert paid_calls.begin(call(2, 2), holder="me", claim_ms=CLAIM_MS) == Begun(number=1)


def test_a_late_worker_cannot_end_the_claim_of_the_one_after_it(
    paid_calls: PaidCalls, client: Client
) -> None:
    paid_calls.begin(call(0, 2), holder="late", claim_ms=CLAIM_MS)
    client.delete(keys.claim("s", str(call(0, 2))))
    paid_calls.begin(call(0, 2), holder="me", claim_ms=CLAIM_MS)
    paid_calls.abandon(call(0, 2), holder="late")
    assert isinstance(paid_calls.begin(call(0, 2), holder="you", claim_ms=CLAIM_MS), Busy)


def test_the_first_answer_stored_stands_and_the_second_is_told_so(paid_calls: PaidCalls) -> None:
    assert paid_calls.store(call(0, 2), answer("a", "b"), holder="me")
    assert not paid_calls.store(call(0, 2), answer("c", "d"), holder="you")
    assert list(paid_calls.texts("arm", "tune-3").values()) == ["a", "b"]


def test_storing_ends_the_claim(paid_calls: PaidCalls, client: Client) -> None:
    paid_calls.begin(call(0, 2), holder="me", claim_ms=CLAIM_MS)
    paid_calls.store(call(0, 2), answer("a", "b"), holder="me")
    assert not client.exists(keys.claim("s", str(call(0, 2))))


def test_a_server_that_gave_four_of_ten_is_made_up_for_by_a_call_for_six(
    paid_calls: PaidCalls,
) -> None:
    paid_calls.store(call(0, 10), answer(*"abcd"), holder="me")
    found = paid_calls.begin(call(0, 10), holder="me", claim_ms=CLAIM_MS)
    assert isinstance(found, PaidCall)
    assert len(found.completions) == 4
    assert paid_calls.begin(call(4, 6), holder="me", claim_ms=CLAIM_MS) == Begun(number=1)
    paid_calls.store(call(4, 6), answer(*"efghij"), holder="me")
    assert list(paid_calls.texts("arm", "tune-3").values()) == list("abcdefghij")


def test_answers_are_pooled_in_the_order_of_their_draws_not_of_their_coming(
    paid_calls: PaidCalls,
) -> None:
    paid_calls.store(call(10, 2), answer("k", "l"), holder="me")
    paid_calls.store(call(2, 8), answer(*"cdefghij"), holder="me")
    paid_calls.store(call(0, 2), answer("a", "b"), holder="me")
    assert list(paid_calls.texts("arm", "tune-3").values()) == list("abcdefghijkl")
    assert [len(paid.completions) for paid in paid_calls.bought("arm", "tune-3")] == [2, 8, 2]


def test_other_arms_examples_and_studies_have_pools_of_their_own(
    paid_calls: PaidCalls, client: Client
) -> None:
    paid_calls.store(call(0, 1), answer("a"), holder="me")
    assert paid_calls.bought("other", "tune-3") == []
    assert paid_calls.bought("arm", "tune-4") == []
    assert PaidCalls(client, "t").bought("arm", "tune-3") == []


def test_scripts_that_redis_has_forgotten_are_sent_again(
    paid_calls: PaidCalls, client: redis.Redis
) -> None:
    client.script_flush()
    assert paid_calls.begin(call(0, 2), holder="me", claim_ms=CLAIM_MS) == Begun(number=1)
