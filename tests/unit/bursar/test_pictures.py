"""What people read of a study."""

import io
from typing import Any

import pytest
from rich.console import Console

from bursar.cli import figures, pictures

REPORT: dict[str, Any] = {
    "study": "x-1",
    "status": "complete",
    "config": {"model": "m", "prompt": "{prompt}", "temperature": 0.25, "max_tokens": 99, "n": 4},
    "best": {
        "metric": "success", "value": 0.91234, "std_error": 0.0213, "inference_cost_usd": 0.0011,
        "examples": 20, "draws": 80,
    },
    "budget": {"limit_usd": 0.5, "spent_usd": 0.31, "reserved_usd": 0.0, "in_doubt_usd": 0.0},
    "trials": 12,
    "completions_paid": 3120,
    "wall_seconds": 72.4,
    "rehearsal": False,
    "reason": "the money is used",
    "pareto_front": [],
}  # fmt: skip


def read(picture: Any, *, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(picture)
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def outcome(**changes: Any) -> str:
    return read(pictures.outcome({**REPORT, **changes}, inference_limit_usd=0.01, file=None))


def test_an_outcome_says_the_score_its_error_its_cost_and_the_money() -> None:
    text = outcome()
    for word in ("0.912 ± 0.021", "$0.0011", "limit $0.01", "$0.31 of $0.50", "1 min 12 s"):
        assert word in text
    assert "REHEARSAL" not in text


def test_a_rehearsal_says_so_at_the_score_and_at_the_money() -> None:
    text = outcome(rehearsal=True)
    assert "REHEARSAL" in text
    assert "pretended: a rehearsal" in text


def test_money_in_doubt_and_overruns_are_shown_apart() -> None:
    budget = {**REPORT["budget"], "in_doubt_usd": 0.02, "overrun_usd": 0.01}
    text = outcome(budget=budget)
    assert "$0.02" in text
    assert "ALARM" in text
    assert "ALARM" not in outcome()


def test_no_recommendation_is_said_to_be_none() -> None:
    assert "No configuration" in outcome(best=None, config=None)


def test_what_eval_func_raised_is_counted_and_shown() -> None:
    errors = {"count": 3, "tracebacks": {"a/tune-1/0+2": "Traceback\nValueError: a bad day"}}
    assert "eval_func raised" not in outcome()
    text = outcome(eval_func_errors=errors)
    assert "eval_func raised" in text
    assert "3 evaluations" in text
    assert "ValueError: a bad day" in text


def test_a_table_of_trials_fits_a_terminal_and_numbers_the_prompts() -> None:
    rows = [
        {"trial": 0, "state": "COMPLETE", "reason": "", "config": REPORT["config"], "best": REPORT["best"]},
        {"trial": 1, "state": "FAILED", "reason": "refused [x]", "config": REPORT["config"], "best": None},
    ]  # fmt: skip
    text = read(pictures.trials(rows, prompts=["other", "{prompt}"]))
    assert max(map(len, text.splitlines())) <= 80
    assert "prompt 2, temperature" in " ".join(text.split())
    assert 'prompt 2  "{prompt}"' in text
    assert "refused [x]" in text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.44, "0.4 s"), (59.2, "59 s"), (60, "1 min 00 s"), (3599, "59 min 59 s"), (3660, "1 h 01 min")],
)  # fmt: skip
def test_durations_are_said_as_one_says_them(seconds: float, words: str) -> None:
    assert figures.duration(seconds) == words


def test_a_clock_counts_hours_only_where_there_are_any() -> None:
    assert figures.clock(61) == "01:01"
    assert figures.clock(3661) == "1:01:01"


def test_a_bill_above_its_reservation_is_an_alarm_wherever_money_is_shown() -> None:
    from bursar.cli import steering

    budget = {**REPORT["budget"], "overrun_usd": 0.02}
    row = {**REPORT, "created_at_s": 0.0, "driven": False, "account": "x-1", "budget": budget}
    for shown in (
        outcome(budget=budget),
        read(pictures.study(row)),
        read(steering._picture({"account": "x-1", **budget})),
    ):
        assert "ALARM" in shown
        assert "$0.02 were billed above what was reserved" in shown
    assert "ALARM" not in outcome()
