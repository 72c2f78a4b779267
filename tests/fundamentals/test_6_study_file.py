"""Lesson 6: a study file says what is tuned, and every mistake in it is told with its remedy."""

import tomllib

import pytest

from study.errors import SpecError
from study.spec import StudySpec

STUDY = """
name = "humaneval"

[data]
path = "problems.jsonl"

[budget]
optimization_usd = 4.0
inference_usd = 0.1

[space]
model = ["gpt-5.4-nano", "gpt-5.4-mini"]
prompt = ["{prompt}", "# Python 3\\n{prompt}"]
max_tokens = {low = 50, high = 1000, log = true}
n = {low = 1, high = 100}
"""


def parse(text: str) -> StudySpec:
    return StudySpec.parse(tomllib.loads(text))


def test_a_short_file_is_enough_all_else_has_a_default() -> None:
    spec = parse(STUDY)
    assert spec.metric.name == "expected_success"
    assert spec.budget.optimization_nanodollars == 4_000_000_000


def test_the_space_says_what_may_be_tried() -> None:
    space = parse(STUDY).search_space
    assert space.models == ("gpt-5.4-nano", "gpt-5.4-mini")
    assert space.n == tuple(range(1, 101))
    assert space.temperature is not None  # one of the two is tuned, never both at once
    assert space.top_p is not None


def test_a_missing_key_says_what_to_write() -> None:
    with pytest.raises(SpecError) as caught:
        parse(STUDY.replace('path = "problems.jsonl"', ""))
    assert str(caught.value) == (
        'data.path is missing. Add it under [data], for example path = "openai/openai_humaneval".'
    )


def test_a_misspelt_key_says_what_was_probably_meant() -> None:
    with pytest.raises(SpecError, match=r"data\.tune_sze = 5: .*did you mean tune_size\?"):
        parse(STUDY.replace("[budget]", "tune_sze = 5\n[budget]"))


def test_a_wrong_value_names_the_field_the_value_and_the_remedy() -> None:
    with pytest.raises(SpecError) as caught:
        parse(STUDY.replace("4.0", '"four"'))
    assert caught.value.field == "budget.optimization_usd"
    assert caught.value.value == "four"
    assert caught.value.remedy == "write a number, without quotes"
