"""Callables as prompts: rendered here, into columns."""

from typing import Any

import pytest

from bursar.callables import Prompts, without_columns
from study.errors import DataError, SpecError

ROW = {"question": "2 + 2?", "answer": "4"}


def rendered(prompt: Any, *, field: str = "prompt") -> Any:
    return Prompts.read([prompt], field=field).rendered(0, ROW, example="row 0")


def test_a_function_gets_the_example_and_returns_the_prompt() -> None:
    assert rendered(lambda row: row["question"].upper()) == "2 + 2?".upper()


def test_a_function_may_return_messages() -> None:
    assert rendered(lambda row: [{"role": "user", "content": row["question"]}]) == [
        {"role": "user", "content": "2 + 2?"}
    ]


def test_a_message_may_hold_a_function_beside_templates() -> None:
    messages = [
        {"role": "system", "content": "Answer {answer}."},
        {"role": "user", "content": lambda row: row["question"]},
    ]
    assert rendered(messages, field="messages") == [
        {"role": "system", "content": "Answer 4."},
        {"role": "user", "content": "2 + 2?"},
    ]


def test_a_template_stays_a_template() -> None:
    prompts = Prompts.read(["{question}"], field="prompt")
    assert prompts.templates == ("{question}",)
    assert prompts.rows_with_columns([ROW]) == [ROW]


def test_the_users_function_never_sees_the_columns() -> None:
    rows = Prompts.read([lambda row: "x"], field="prompt").rows_with_columns([ROW])
    assert len(rows[0]) == 3
    assert without_columns(rows[0]) == ROW


def test_a_function_that_raises_is_named_with_its_example() -> None:
    with pytest.raises(DataError, match=r"prompt\[0\].*KeyError.*row 0"):
        Prompts.read([lambda row: row["nothing"]], field="prompt").rows_with_columns([ROW])


@pytest.mark.parametrize("found", [None, 3, [], [{"role": "wizard", "content": "x"}]])
def test_a_function_that_returns_no_prompt_is_named(found: Any) -> None:
    with pytest.raises(SpecError, match="not a list of chat messages"):
        rendered(lambda row: found)
