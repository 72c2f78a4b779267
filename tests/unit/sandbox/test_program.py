import json

import pytest

from sandbox import Outcome, RunResult


@pytest.mark.parametrize(
    ("outcome", "exception", "verdict"),
    [
        (Outcome.passed, None, "pass"),
        (Outcome.failed, "AssertionError", "fail:AssertionError"),
        (Outcome.failed, None, "fail:failed"),
        (Outcome.left_early, "SystemExit", "fail:SystemExit"),
        (Outcome.left_early, None, "fail:left_early"),
        (Outcome.timed_out, None, "timeout"),
        (Outcome.oom_killed, None, "fail:oom_killed"),
        (Outcome.killed, None, "fail:killed"),
    ],
)
def test_a_verdict_says_how_the_program_ended(outcome, exception, verdict):
    result = RunResult(outcome=outcome, exception=exception)
    assert result.verdict == verdict
    assert result.passed == (verdict == "pass")


@pytest.mark.parametrize("outcome", Outcome)
def test_a_result_survives_json(outcome):
    result = RunResult(outcome=outcome, exception="E", detail="E: é\u2028", duration_s=0.25)
    assert RunResult.from_dict(json.loads(json.dumps(result.to_dict()))) == result


def test_an_outcome_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="fine"):
        RunResult.from_dict({"outcome": "fine"})


def test_a_field_that_does_not_exist_is_refused():
    with pytest.raises(TypeError, match="score"):
        RunResult.from_dict({"outcome": "passed", "score": 1})
