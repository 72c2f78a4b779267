"""The evaluators by name, with the columns that they need: known before the first cent is spent."""

from collections.abc import Mapping
from typing import Any, Final

from study.errors import DataError

PYTHON_TESTS: Final = "python_tests"
"""Runs each answer as a program, in the sandbox. Any other name is a user's `package.module:function`."""

_TEXT: Final = "a text"
_TEXTS: Final = "a list of texts"
FUNCTION_COLUMNS: Final = {"prompt": _TEXT, "entry_point": _TEXT, "test": _TEXT}
"""HumanEval's: `test` defines `check(candidate)`; the prompt begins the program where it can."""
ASSERTS_COLUMNS: Final = {"test_list": _TEXTS}
"""MBPP's: one assert each; `test_imports` and `test_setup_code` may stand beside them."""
STREAMS_COLUMNS: Final = {"inputs": _TEXTS, "outputs": _TEXTS}
"""Of a script: what it is given to read, and what it must then print; one output for each input."""


def counts(evaluator: str) -> bool:
    """Whether the evaluator judges each answer by itself, so that passes can be counted."""
    return evaluator == PYTHON_TESTS


def required_columns(evaluator: str, row: Mapping[str, Any]) -> dict[str, str]:
    """The columns that an evaluator reads of an example, each with what it must hold.

    Args:
        evaluator: a built-in's name, or a reference to a user's function, which takes any.
        row: the example; without a `test`, one with a `test_list` is in MBPP's form, and one with
            `outputs` is judged as a script.
    """
    if not counts(evaluator):
        return {}
    if "test_list" in row and "test" not in row:
        return ASSERTS_COLUMNS
    if is_of_scripts(row):
        return STREAMS_COLUMNS
    return FUNCTION_COLUMNS


def is_of_scripts(row: Mapping[str, Any]) -> bool:
    """Whether an example's answers are scripts, judged by what they print."""
    return "outputs" in row and "test" not in row and "test_list" not in row


def check_columns(evaluator: str, row: Mapping[str, Any], *, example_id: str) -> None:
    """Make sure that an example can be scored.

    Raises:
        DataError: naming the first column that is missing or of the wrong kind.
    """
    for column, kind in required_columns(evaluator, row).items():
        problem = "has no such column" if column not in row else f"does not hold {kind} there"
        if column not in row or not _is(kind, row[column]):
            raise DataError(
                field="metric.evaluator",
                value=evaluator,
                problem=f"reads column {column!r}, but example {example_id} {problem}",
                remedy="python_tests needs the columns prompt, entry_point and test (as "
                "HumanEval has them), or test_list (as MBPP has it), or inputs and outputs (of "
                "scripts); this example has: " + ", ".join(sorted(row)),
            )
    if counts(evaluator) and is_of_scripts(row) and len(row["inputs"]) != len(row["outputs"]):
        raise DataError(
            field="metric.evaluator",
            value=evaluator,
            problem=f"example {example_id} has {len(row['inputs'])} inputs and "
            f"{len(row['outputs'])} outputs",
            remedy="Give each input its output",
        )


def _is(kind: str, value: object) -> bool:
    if kind == _TEXT:
        return isinstance(value, str) and bool(value)
    return isinstance(value, list) and bool(value) and all(isinstance(item, str) for item in value)
