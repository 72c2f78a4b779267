"""Finding the problem that a request asks."""

import pytest

from rehearsal import Problem, Problems
from rehearsal.errors import ApiError

SHORT = {"id": "short", "prompt": "def f(x):\n"}
LONG = {"id": "long", "prompt": "def f(x):\n    '''Double x.'''\n"}


def test_the_longest_prompt_that_occurs_wins() -> None:
    problems = Problems.from_rows([SHORT, LONG])
    assert problems.find("Complete this:\n" + LONG["prompt"]).problem.id == "long"
    assert problems.find("Complete this:\n" + SHORT["prompt"]).problem.id == "short"


def test_the_template_is_what_stands_around_the_prompt() -> None:
    problems = Problems.from_rows([LONG, {"id": "other", "prompt": "def g(y):"}])
    assert problems.find(LONG["prompt"]).template == ""
    assert problems.find("# Python 3\n" + LONG["prompt"]).template == "# Python 3 {prompt}"
    assert problems.find("# Python 3\ndef g(y):").template == "# Python 3 {prompt}"


def test_a_rendered_prompt_is_matched_exactly_and_its_template_is_its_index() -> None:
    row = LONG | {"prompts": ["Double a number.", "Zweimal, bitte: f"]}
    asked = Problems.from_rows([row]).find("Zweimal, bitte: f")
    assert (asked.problem.id, asked.template) == ("long", "1")


def test_an_unknown_prompt_is_a_404() -> None:
    with pytest.raises(ApiError) as caught:
        Problems.from_rows([LONG]).find("What is the weather like?")
    assert (caught.value.status, caught.value.code) == (404, "unknown_problem")


def test_a_row_without_solution_is_a_problem_as_well() -> None:
    assert Problem.from_row(SHORT).solution is None
