"""Reading a request: what is taken, and what a 400 says."""

from typing import Any

import pytest

from rehearsal.errors import ApiError
from rehearsal.request import read_request

CHAT: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize(
    ("changed", "param", "code"),
    [
        ({"temperature": 2.1}, "temperature", "invalid_value"),
        ({"temperature": -0.1}, "temperature", "invalid_value"),
        ({"temperature": float("nan")}, "temperature", "invalid_value"),
        ({"temperature": "warm"}, "temperature", "invalid_type"),
        ({"top_p": 1.5}, "top_p", "invalid_value"),
        ({"n": 0}, "n", "invalid_value"),
        ({"n": 129}, "n", "invalid_value"),
        ({"n": 1.5}, "n", "invalid_type"),
        ({"n": True}, "n", "invalid_type"),
        ({"max_tokens": 0}, "max_tokens", "invalid_value"),
        ({"max_tokens": 5, "max_completion_tokens": 5}, "max_tokens", "invalid_value"),
        ({"stop": [""]}, "stop", "invalid_value"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop", "invalid_value"),
        ({"stop": 3}, "stop", "invalid_value"),
        ({"presence_penalty": 3}, "presence_penalty", "invalid_value"),
        ({"best_of": 3}, "best_of", "unknown_parameter"),
        ({"frobnicate": 1}, "frobnicate", "unknown_parameter"),
        ({"stream": True}, "stream", "unsupported_value"),
        ({"messages": []}, "messages", "invalid_value"),
        ({"messages": [{"role": "user", "content": 7}]}, "messages", "invalid_value"),
        ({"model": ""}, "model", None),
    ],
)
def test_a_bad_parameter_is_a_400_that_names_it(
    changed: dict[str, Any], param: str, code: str
) -> None:
    with pytest.raises(ApiError) as caught:
        read_request("chat", CHAT | changed)
    assert (caught.value.status, caught.value.param, caught.value.code) == (400, param, code)
    assert set(caught.value.body()["error"]) == {"message", "type", "param", "code"}


def test_a_parameter_that_the_model_refuses_is_a_400_that_names_it() -> None:
    refusals = {"m": {"temperature"}}
    with pytest.raises(ApiError, match="temperature") as caught:
        read_request("chat", CHAT | {"temperature": 1}, refusals=refusals)
    assert caught.value.code == "unsupported_parameter"
    assert read_request("chat", CHAT | {"model": "other", "temperature": 1}, refusals=refusals)


def test_null_means_left_out() -> None:
    request = read_request("chat", CHAT | {"temperature": None, "stop": None, "n": None})
    assert (request.temperature, request.stop, request.n) == (None, (), 1)


def test_the_text_is_all_messages_but_the_assistants() -> None:
    messages = [
        {"role": "system", "content": "be brief"},
        {"role": "assistant", "content": "ok"},
        {"role": "user", "content": [{"type": "text", "text": "hi"}]},
    ]
    assert read_request("chat", CHAT | {"messages": messages}).text == "be brief\nhi"


def test_completions_have_openais_default_of_sixteen_tokens_and_chat_has_none() -> None:
    assert read_request("completions", {"model": "m", "prompt": "hi"}).tokens_max == 16
    assert read_request("chat", CHAT).tokens_max is None


def test_best_of_is_at_least_n() -> None:
    body = {"model": "m", "prompt": ["hi"], "n": 2}
    assert read_request("completions", body).best_of == 2
    assert read_request("completions", body | {"best_of": 5}).best_of == 5
    with pytest.raises(ApiError, match="best_of"):
        read_request("completions", body | {"best_of": 1})


def test_azures_deployment_takes_the_models_place() -> None:
    assert read_request("chat", CHAT, deployment="mine").model == "mine"
