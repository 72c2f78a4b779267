"""A prompt that was billed is bounded by its bill: the same prompt, and no other."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from study import prompt_tokens, worst_case
from study.config import Arm
from study.connection import Client
from study.prices import Usage
from study.prompt_tokens import SLACK_TOKENS, PromptTokens


def name(example: str = "tune-0", model: str = "m", template: int = 0, **params: Any) -> str:
    return prompt_tokens.name_of(Arm(model=model, template=template, params=params), example)


def test_what_was_billed_is_known_and_the_largest_count_stands(client: Client) -> None:
    prompts = PromptTokens(client, "s")
    assert prompts.known("p") is None
    for tokens, expected in [(10, 10), (7, 10), (12, 12), (12, 12)]:
        prompts.learn("p", tokens)
        assert prompts.known("p") == expected
    assert PromptTokens(client, "t").known("p") is None


def test_how_answers_are_drawn_is_no_part_of_a_prompt_and_all_else_is() -> None:
    sampled = name(temperature=0.5, top_p=0.9, max_tokens=3, stop=["x"], best_of=4, seed=1)
    assert sampled == name()
    others = [
        name("tune-1"),
        name(template=1),
        name(model="n"),
        name(tools=[{"type": "function"}]),
        name(reasoning_effort="high"),
        name(response_format={"type": "json_object"}),
        name(whatever_comes_next=1),
    ]
    assert len({name(), *others}) == len(others) + 1


@given(
    text=st.text(max_size=60),
    billed=st.integers(1, 300),
    later=st.integers(0, SLACK_TOKENS),
    n=st.integers(1, 9),
)
def test_the_bound_holds_for_the_same_prompt_and_never_grows(
    text: str, billed: int, later: int, n: int
) -> None:
    most = worst_case.usage(text, model="m", params={"max_tokens": 10}, n=n)
    bounded = prompt_tokens.bounded(most, billed)
    assert bounded.completion_tokens == most.completion_tokens
    assert bounded.prompt_tokens <= most.prompt_tokens
    assert bounded.prompt_tokens >= min(billed + later, most.prompt_tokens)
    assert prompt_tokens.bounded(most, None) == most


@pytest.mark.parametrize("known", [None, 5])
def test_an_unknown_length_of_answers_stays_at_its_most(known: int | None) -> None:
    most = Usage(prompt_tokens=100, completion_tokens=1_000)
    assert prompt_tokens.bounded(most, known).completion_tokens == 1_000
