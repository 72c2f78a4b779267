"""The real openai client finds in the stand-in the API that it knows."""

import hashlib
import hmac
from collections.abc import Callable
from typing import Any

import openai
import pytest
from openai import AzureOpenAI, OpenAI

from rehearsal import RehearsalServer, Synthetic
from rehearsal.tokens import count_tokens

from .conftest import API_KEY, PROBLEMS, SEAL_KEY

PROMPT = PROBLEMS[0]["prompt"]


def test_chat_answers_n_choices_and_says_what_they_used(
    client: OpenAI, asked: dict[str, Any]
) -> None:
    response = client.chat.completions.create(**asked, n=5, temperature=0.8)
    assert [choice.index for choice in response.choices] == [0, 1, 2, 3, 4]
    assert {choice.finish_reason for choice in response.choices} == {"stop"}
    assert response.usage is not None
    assert response.usage.prompt_tokens == count_tokens(PROMPT) + 7
    said = [choice.message.content or "" for choice in response.choices]
    assert response.usage.completion_tokens == sum(map(count_tokens, said))
    assert (
        response.usage.total_tokens
        == response.usage.prompt_tokens + response.usage.completion_tokens
    )


def test_completions_answer_with_bare_continuations(client: OpenAI) -> None:
    response = client.completions.create(
        model="small", prompt=PROMPT, n=3, max_tokens=100, logprobs=1
    )
    assert all(
        choice.text.startswith("    ") and "```" not in choice.text for choice in response.choices
    )


def test_best_of_is_billed_and_n_are_returned(client: OpenAI, server: RehearsalServer) -> None:
    response = client.completions.create(
        model="small", prompt=PROMPT, n=1, best_of=8, max_tokens=100
    )
    assert len(response.choices) == 1
    assert response.usage is not None
    assert response.usage.completion_tokens > 4 * count_tokens(response.choices[0].text)
    assert server.books().completion_tokens == response.usage.completion_tokens


@pytest.mark.parametrize("limit", ["max_tokens", "max_completion_tokens"])
def test_a_limit_cuts_and_says_length(client: OpenAI, asked: dict[str, Any], limit: str) -> None:
    response = client.chat.completions.create(**asked, **{limit: 3}, n=4)
    assert {choice.finish_reason for choice in response.choices} == {"length"}
    assert response.usage is not None
    assert response.usage.completion_tokens == 12


@pytest.mark.parametrize("stop", ["return", ["zzz", "return"]])
def test_an_answer_is_cut_before_the_stop_string(client: OpenAI, stop: Any) -> None:
    response = client.completions.create(
        model="small", prompt=PROMPT, n=40, stop=stop, max_tokens=200
    )
    assert all("return" not in choice.text for choice in response.choices)
    assert {choice.finish_reason for choice in response.choices} == {"stop"}


def test_the_models_are_listed(client: OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["small", "large"]
    assert client.models.retrieve("large").id == "large"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("huge")


def test_azures_paths_and_header_work(server: RehearsalServer, asked: dict[str, Any]) -> None:
    with AzureOpenAI(
        azure_endpoint=server.root_url, api_key=API_KEY, api_version="2024-10-21", max_retries=0
    ) as client:
        chat = client.chat.completions.create(**asked)
        completion = client.completions.create(model="large", prompt=PROMPT)
    assert (chat.model, completion.model) == ("small", "large")
    assert [record.model for record in server.books().records] == ["small", "large"]


def test_a_wrong_key_is_refused(
    server: RehearsalServer, connect: Callable[..., OpenAI], asked: dict[str, Any]
) -> None:
    with pytest.raises(openai.AuthenticationError) as caught:
        connect(server, api_key="wrong").chat.completions.create(**asked)
    assert caught.value.code == "invalid_api_key"
    assert server.books().billed_calls == 0
    assert dict(server.books().by_status) == {"401": 1}


def test_where_no_key_is_asked_for_any_will_do(
    serve: Callable[..., RehearsalServer], connect: Callable[..., OpenAI], asked: dict[str, Any]
) -> None:
    assert connect(serve(api_key=None), api_key="any").chat.completions.create(**asked).choices


def test_an_unknown_model_is_a_404(client: OpenAI, asked: dict[str, Any]) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(**(asked | {"model": "huge"}))
    assert caught.value.code == "model_not_found"


def test_an_unknown_problem_is_a_404(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.completions.create(model="small", prompt="What is the weather like?")
    assert caught.value.code == "unknown_problem"


def test_a_bad_parameter_is_a_400(client: OpenAI, asked: dict[str, Any]) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(**asked, temperature=3)
    assert (caught.value.param, caught.value.type) == ("temperature", "invalid_request_error")


def test_a_model_can_refuse_a_parameter(
    serve: Callable[..., RehearsalServer], connect: Callable[..., OpenAI], asked: dict[str, Any]
) -> None:
    client = connect(serve(refusals={"small": ["temperature"]}))
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(**asked, temperature=1)
    assert (caught.value.param, caught.value.code) == ("temperature", "unsupported_parameter")
    assert client.chat.completions.create(**asked).choices


def test_synthetic_answers_are_sealed(client: OpenAI, asked: dict[str, Any]) -> None:
    response = client.chat.completions.create(**asked, n=3, max_tokens=20)
    said = "\x00".join(choice.message.content or "" for choice in response.choices)
    seal = hmac.new(SEAL_KEY, said.encode(), hashlib.sha256).hexdigest()
    assert response.system_fingerprint == f"synthetic-{seal}"


def test_at_temperature_zero_the_answers_of_a_call_are_one_text(
    client: OpenAI, asked: dict[str, Any]
) -> None:
    response = client.chat.completions.create(**asked, n=10, temperature=0)
    assert len({choice.message.content for choice in response.choices}) == 1


def test_a_repeated_study_gets_the_same_answers(
    serve: Callable[..., RehearsalServer], connect: Callable[..., OpenAI], asked: dict[str, Any]
) -> None:
    def study(seed: int) -> list[str | None]:
        client = connect(serve(seed=seed, source=Synthetic()))
        responses = [client.chat.completions.create(**asked, n=5) for _ in range(4)]
        return [choice.message.content for response in responses for choice in response.choices]

    assert study(0) == study(0) != study(1)
