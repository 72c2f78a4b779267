"""What an evaluator needs of an example is checked before a cent is spent."""

from typing import Any

import pytest

from study import evaluators
from study.errors import DataError

HUMANEVAL = {"prompt": "def f():", "entry_point": "f", "test": "def check(candidate): pass"}
MBPP = {"prompt": "Write f.", "test_list": ["assert f() == 1"]}

SCRIPT = {"prompt": "Add two numbers.", "inputs": ["1 2", ""], "outputs": ["3", "0"]}


@pytest.mark.parametrize("row", [HUMANEVAL, MBPP, {**MBPP, **HUMANEVAL}, SCRIPT])
def test_every_form_of_a_problem_with_tests_pass(row: dict[str, Any]) -> None:
    evaluators.check_columns("python_tests", row, example_id="tune-3")


@pytest.mark.parametrize(
    ("row", "column"),
    [
        ({**HUMANEVAL, "test": ""}, "test"),
        ({**HUMANEVAL, "entry_point": None}, "entry_point"),
        ({"question": "?", "answer": "!"}, "prompt"),
        ({**MBPP, "test_list": []}, "test_list"),
        ({**MBPP, "test_list": "assert f()"}, "test_list"),
        ({**MBPP, "test_list": [1]}, "test_list"),
        ({**SCRIPT, "inputs": None}, "inputs"),
        ({"outputs": ["3"]}, "inputs"),
        ({**SCRIPT, "outputs": [3]}, "outputs"),
    ],
)
def test_what_is_missing_is_named_with_the_example(row: dict[str, Any], column: str) -> None:
    with pytest.raises(DataError, match=f"'{column}', but example tune-3"):
        evaluators.check_columns("python_tests", row, example_id="tune-3")


def test_an_input_without_its_output_is_counted() -> None:
    row = {**SCRIPT, "outputs": ["3"]}
    with pytest.raises(DataError, match="tune-3 has 2 inputs and 1 outputs"):
        evaluators.check_columns("python_tests", row, example_id="tune-3")


def test_a_users_function_takes_any_row() -> None:
    evaluators.check_columns("a.b:f", {}, example_id="tune-3")
    assert not evaluators.counts("a.b:f")
    assert evaluators.counts("python_tests")
