"""Programs that differ in comments and formatting alone run once; all others run for themselves."""

from collections.abc import Sequence

import pytest

from sandbox import Outcome, Program, RunResult
from study.paid_calls import Completion, PaidCall
from study.prices import Usage
from workers.evaluators import judged
from workers.sameness import shape


def same(one: str, other: str) -> bool:
    return shape(Program(source=one)) == shape(Program(source=other))


@pytest.mark.parametrize(
    "other",
    [
        "def f(x):  # adds one\n    return x + 1\n",
        "\n\ndef f( x ):\n        return (x+1)",
        "def f(x): return x + 1  # type: int",
    ],
)
def test_comments_and_formatting_make_no_difference(other: str) -> None:
    assert same("def f(x):\n    return x + 1\n", other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("def f(x): return x + 1", "def f(x): return 1 + x"),
        ("def f(x): return 1", "def f(x): return 1.0"),
        ("def f(x): return 1", "def f(x): return True"),
        ("def f():\n    '''>>> f()'''", "def f():\n    '''>>> f() '''"),
        ("def f(x): return f'{x=}'", "def f(x): return f'{x = }'"),
        ("import inspect\nx = 1", "import inspect\nx = 1  # seen"),
        ("import sys\nsys._getframe().f_lineno", "import sys\n\nsys._getframe().f_lineno"),
        ("# coding: latin-1\nx = 'a'", "x = 'a'"),
        ("def f(:", "def f(: "),
        ("x = 1\0", "x = 1\0 "),
        ("(" * 5000, "(" * 5000 + " "),
    ],
)
def test_whatever_might_be_seen_makes_a_difference(one: str, other: str) -> None:
    assert not same(one, other)


def test_another_check_or_trust_is_another_program() -> None:
    of = shape(Program(source="x = 1", check="assert x"))
    assert of != shape(Program(source="x = 1", check="assert x == 1"))
    assert of != shape(Program(source="x = 1", check="assert x", trusted=True))


def test_answers_that_are_the_same_program_are_run_once_and_all_get_its_verdict() -> None:
    texts = ["    return x + 1\n", "    # so\n    return (x + 1)\n", "    return 2\n"]
    call = PaidCall(
        reservation="r",
        completions=tuple(Completion(text=text, finish_reason="stop") for text in texts),
        usage=Usage(prompt_tokens=1, completion_tokens=1),
        cost_nanodollars=1,
        model="m",
        fingerprint="",
        latency_s=0.1,
    )
    example = {
        "prompt": "def f(x):\n",
        "entry_point": "f",
        "test": "def check(candidate):\n    assert candidate(2) == 3\n",
    }
    sources: list[str] = []

    def run(programs: Sequence[Program]) -> list[RunResult]:
        sources.extend(program.source for program in programs)
        outcomes = {True: Outcome.passed, False: Outcome.failed}
        return [RunResult(outcome=outcomes["x + 1" in program.source]) for program in programs]

    verdicts = judged(
        [call], example, api="completions", model="m", cut_as=(), run=run, seal_key=b""
    )
    assert verdicts.passes == [True, True, False]
    assert sources == ["def f(x):\n" + texts[0], "def f(x):\n" + texts[2]]
