"""A metric of this process: whatever the function does, the study goes on and says so."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from coordinator.scorer import HUNG_MAX, Scorer
from study.config import Arm
from study.connection import Client
from study.errors import InfrastructureError
from study.messages import Paid, Scored
from study.paid_calls import CallId, Completion, PaidCall, PaidCalls
from study.prices import Price, Usage
from study.spec import StudySpec
from study.studies import Source, Studies

ARM = Arm(model="m", template=0, params={"max_tokens": 10})
PATIENT_S = 120.0
MakeScorer = Callable[[Callable[..., Any]], Scorer]


class Clock:
    """A clock that a test sets forward."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make_scorer(client: Client, clock: Clock) -> Iterator[MakeScorer]:
    spec = StudySpec.parse(
        {
            "name": "notebook",
            "data": {"path": "in-memory"},
            "metric": {"name": "right", "evaluator": "somebody:is_right", "timeout_s": 30},
            "budget": {"optimization_usd": 1.0, "inference_usd": 0.01},
            "space": {"model": "m", "prompt": "{a}"},
            "price": [{"model": "m", "input": 1.0, "output": 1.0}],
        }
    )
    record = Studies(client).create(
        spec,
        pinned={"m": Price.from_usd(input=1.0, output=1.0)},
        source=Source.REHEARSAL,
        base_url="http://127.0.0.1:1/v1",
        scored_by_coordinator=True,
        examples=[(f"tune-{i}", {"a": str(i)}) for i in range(2 * HUNG_MAX)],
    )
    for number in range(2 * HUNG_MAX):
        call = CallId(arm=ARM.key, example=f"tune-{number}", first_draw=0, draws=1)
        paid = PaidCall(
            reservation="r",
            completions=(Completion(text="x", finish_reason="stop"),),
            usage=Usage(prompt_tokens=1, completion_tokens=1),
            cost_nanodollars=1,
            model="m",
            fingerprint="",
            latency_s=0.0,
        )
        PaidCalls(client, record.id).store(call, paid, holder="h")
    made: list[Scorer] = []

    def make(eval_func: Callable[..., Any]) -> Scorer:
        made.append(Scorer(eval_func, client=client, record=record, clock=clock))
        return made[-1]

    yield make
    for scorer in made:
        scorer.close()


def unscored(number: int = 0) -> Scored:
    return Scored(
        trial=0,
        arm=ARM.key,
        example=f"tune-{number}",
        first_draw=0,
        draws=1,
        unscored=True,
        paid=Paid(calls=1, prompt_tokens=1, completion_tokens=1, cost_nanodollars=1, latency_s=0.0),
    )


def taken(scorer: Scorer, count: int = 1) -> list[Scored]:
    """So many results, once they are there."""
    deadline_s = time.monotonic() + PATIENT_S
    found: list[Scored] = []
    while len(found) < count:
        assert time.monotonic() < deadline_s
        found += scorer.take()
        time.sleep(0.005)
    return found


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (lambda responses, a: {"right": 1 / 0}, "ZeroDivisionError"),
        (lambda responses, a: {"wrong": 1}, "no metric 'right'"),
        (lambda responses, a: {"right": float("nan")}, "not a finite number"),
        (lambda responses, a: sys.exit("enough"), "SystemExit: enough"),
    ],
    ids=["raises", "another metric", "not a number", "exits"],
)
def test_what_is_no_score_is_kept_in_words_and_the_next_one_is_scored(
    function: Callable[..., Any], told: str, make_scorer: MakeScorer
) -> None:
    scorer = make_scorer(
        lambda responses, a: function(responses, a) if a == "0" else {"right": 1.0}
    )
    scorer.submit(unscored(0))
    scorer.submit(unscored(1))
    first, second = taken(scorer, 2)
    assert told in first.error
    assert not first.unscored
    assert second.curve == {1: 1.0}
    assert scorer.pending == 0


def test_a_call_that_hangs_is_told_to_end_and_says_where_it_was(
    make_scorer: MakeScorer, clock: Clock
) -> None:
    begun, ended = threading.Event(), threading.Event()

    def counts_for_ever(responses: list[str], a: str) -> dict[str, float]:
        try:
            while a == "0":
                begun.set()
        finally:
            ended.set()
        return {"right": 1.0}

    scorer = make_scorer(counts_for_ever)
    scorer.submit(unscored(0))
    scorer.submit(unscored(1))
    assert begun.wait(PATIENT_S)
    assert scorer.take() == []
    clock.now_s += 31
    late, second = taken(scorer, 2)
    assert "did not return within 30 s" in late.error
    assert "counts_for_ever" in late.error
    assert ended.wait(PATIENT_S)  # a loop obeys
    assert second.curve == {1: 1.0}
    assert scorer.pending == 0


def test_calls_that_nothing_can_end_are_bounded_in_number(
    make_scorer: MakeScorer, clock: Clock
) -> None:
    begun, over = threading.Semaphore(0), threading.Event()

    def deaf(responses: list[str], a: str) -> dict[str, float]:
        begun.release()
        over.wait()
        return {"right": 1.0}

    scorer = make_scorer(deaf)
    for number in range(HUNG_MAX + 1):
        scorer.submit(unscored(number))
    for _ in range(HUNG_MAX):
        assert begun.acquire(timeout=PATIENT_S)
        clock.now_s += 31
        assert "did not return" in taken(scorer)[0].error
    assert begun.acquire(timeout=PATIENT_S)
    clock.now_s += 31
    with pytest.raises(InfrastructureError, match=f"{HUNG_MAX + 1} calls of eval_func hang"):
        scorer.take()
    over.set()
