"""Messages: ids and bounds, nothing unknown, the same name at both ends."""

from typing import Any

import pytest
from pydantic import ValidationError

from study.cuts import CUTS_MAX
from study.messages import EvaluateExample, Scored

MESSAGE: dict[str, Any] = {
    "study": "s",
    "trial": 3,
    "arm": "0123456789abcdef",
    "example": "tune-3",
    "first_draw": 4,
    "draws": 6,
}


def test_a_message_survives_its_json() -> None:
    message = EvaluateExample.model_validate(MESSAGE)
    assert EvaluateExample.model_validate_json(message.model_dump_json()) == message


def test_message_call_and_result_share_one_name() -> None:
    message = EvaluateExample.model_validate(MESSAGE)
    paid = {"calls": 0, "prompt_tokens": 0, "completion_tokens": 0, "cost_nanodollars": 0}
    whose = {key: value for key, value in MESSAGE.items() if key != "study"}
    result = Scored.model_validate(
        {**whose, "passes": [True] * 6, "paid": {**paid, "latency_s": 0.0}}
    )
    assert message.evaluation == str(message.call) == result.evaluation
    assert message.evaluation == "0123456789abcdef/tune-3/4+6"


@pytest.mark.parametrize(
    "change",
    [
        {"unknown": 1},
        {"draws": 0},
        {"draws": 1001},
        {"first_draw": -1},
        {"trial": -1},
        {"study": "s" * 101},
        {"arm": "a" * 33},
        {"example": None},
    ],
)
def test_what_no_coordinator_of_ours_sends_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        EvaluateExample.model_validate({**MESSAGE, **change})


SCORED: dict[str, Any] = {
    **{key: value for key, value in MESSAGE.items() if key != "study"},
    "draws": 2,
    "passes": [True, False],
    "paid": {
        "calls": 1,
        "prompt_tokens": 1,
        "completion_tokens": 1,
        "cost_nanodollars": 1,
        "latency_s": 0,
    },
}
CUT: dict[str, Any] = {"arm": "fedcba9876543210", "passes": [True, False], "output_tokens": 1.5}


def test_a_result_from_before_cuts_were_looked_at_is_read() -> None:
    old = Scored.model_validate(SCORED)
    assert old.cuts is None
    assert Scored.model_validate({**SCORED, "cuts": []}).cuts == []


@pytest.mark.parametrize(
    "cuts",
    [
        [CUT] * (CUTS_MAX + 1),
        [{**CUT, "passes": [True]}],
        [{**CUT, "output_tokens": -1}],
        [{**CUT, "output_tokens": float("nan")}],
        [{**CUT, "arm": "a" * 33}],
        [{**CUT, "unknown": 1}],
    ],
)
def test_cuts_in_a_result_are_bounded_and_have_a_verdict_for_each_draw(cuts: Any) -> None:
    assert Scored.model_validate({**SCORED, "cuts": [CUT]}).cuts
    with pytest.raises(ValidationError):
        Scored.model_validate({**SCORED, "cuts": cuts})
