"""What an evaluator needs of an example is checked before a cent is spent."""

from typing import Any

import pytest

from study import evaluators
from study.errors import DataError

HUMANEVAL = {"prompt": "def f():", "entry_point": "f", "test": "def check(candidate): pass"}
MBPP = {"prompt": "Write f.", "test_list": ["assert f() == 1"]}


@pytest.mark.parametrize("row", [HUMANEVAL, MBPP, {**MBPP, **HUMANEVAL}])
def test_both_forms_of_a_problem_with_tests_pass(row: dict[str, Any]) -> None:
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
    ],
)
def test_what_is_missing_is_named_with_the_example(row: dict[str, Any], column: str) -> None:
    with pytest.raises(DataError, match=f"'{column}', but example tune-3"):
        evaluators.check_columns("python_tests", row, example_id="tune-3")


def test_a_users_function_takes_any_row() -> None:
    evaluators.check_columns("a.b:f", {}, example_id="tune-3")
    assert not evaluators.counts("a.b:f")
    assert evaluators.counts("python_tests")
