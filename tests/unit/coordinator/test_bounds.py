"""Bounds: what evaluations can cost at most, before and after their prompts were billed."""

from coordinator.bounds import Bounds
from study import worst_case
from study.config import Arm
from study.messages import Paid, Scored
from study.prices import Price, Usage
from study.prompt_tokens import SLACK_TOKENS
from study.spec import StudySpec

PRICE = Price.from_usd(input=1, output=1)


def cost(prompt_tokens: int, completion_tokens: int) -> int:
    return PRICE.cost(Usage(prompt_tokens=prompt_tokens, completion_tokens=completion_tokens))


def bounds() -> Bounds:
    spec = StudySpec.parse(
        {
            "name": "s",
            "data": {"path": "p"},
            "budget": {"optimization_usd": 1.0, "inference_usd": 0.1},
            "space": {"model": ["m"], "prompt": ["{text}", "Do: {text}"]},
            "price": [{"model": "m", "input": 1.0, "output": 1.0}],
        }
    )
    rows = {"tune-0": {"text": "x" * 400}, "tune-1": {"text": "y" * 400}}
    return Bounds(spec.search_space, prices={"m": PRICE}, examples=rows)


def arm(template: int = 0, **params: object) -> Arm:
    return Arm(model="m", template=template, params={"max_tokens": 50, **params})


def scored(of: Arm, example: str, *, prompt_tokens: int, calls: int = 1) -> Scored:
    paid = Paid(
        calls=calls,
        prompt_tokens=prompt_tokens,
        completion_tokens=10,
        cost_nanodollars=1,
        latency_s=1.0,
    )
    return Scored(
        trial=0, arm=of.key, example=example, first_draw=0, draws=1, passes=[True], paid=paid
    )


def test_a_bound_is_the_worst_case_of_the_rendered_prompt() -> None:
    expected = worst_case.cost("x" * 400, model="m", params={"max_tokens": 50}, n=3, price=PRICE)
    assert bounds().worst_case(arm(), "tune-0", 3) == expected


def test_a_billed_prompt_bounds_every_arm_that_sends_the_same() -> None:
    known = bounds()
    hot, wordy, other = arm(temperature=1.0), arm(max_tokens=80), arm(template=1)
    before = {(one.key, at): known.worst_case(one, at, 1) for one in (arm(), hot, wordy, other)
              for at in ("tune-0", "tune-1")}  # fmt: skip
    known.learn(scored(arm(), "tune-0", prompt_tokens=100))
    exactly = 100 + SLACK_TOKENS
    assert known.worst_case(hot, "tune-0", 1) == cost(exactly, 50)
    assert known.worst_case(wordy, "tune-0", 2) == cost(exactly, 160)
    assert known.worst_case(hot, "tune-1", 1) == before[hot.key, "tune-1"]
    assert known.worst_case(other, "tune-0", 1) == before[other.key, "tune-0"]


def test_a_sum_over_several_calls_tells_nothing() -> None:
    known = bounds()
    before = known.worst_case(arm(), "tune-0", 1)
    known.learn(scored(arm(), "tune-0", prompt_tokens=100, calls=2))
    assert known.worst_case(arm(), "tune-0", 1) == before
