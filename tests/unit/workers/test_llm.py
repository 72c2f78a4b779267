"""The endpoint: what is sent, what is read, and how long it may take; with the real client."""

import json
import socket
import time
from typing import Any

import pytest

from study.prices import Usage
from study.spec import EndpointSpec
from study.studies import Source
from workers import llm
from workers.failures import InDoubt, Refused, Unauthorised, Unavailable

from .conftest import Open, Scripted

PARAMS = {"temperature": 0.5, "max_tokens": 64, "stop": ["\nclass"]}


def sent(scripted: Scripted) -> dict[str, Any]:
    return scripted.requests[-1][2]


def test_a_text_is_sent_as_one_user_message(scripted: Scripted, open_endpoint: Open) -> None:
    answer = open_endpoint(scripted.base_url).call("hello", model="m", params=PARAMS, n=3)
    assert sent(scripted) == {
        "model": "m",
        "messages": [{"role": "user", "content": "hello"}],
        "temperature": 0.5,
        "max_tokens": 64,
        "stop": ["\nclass"],
        "n": 3,
    }
    assert [c.text for c in answer.completions] == ["yes"]
    assert answer.usage == Usage(prompt_tokens=10, completion_tokens=5)
    assert answer.model == "m-2"


def test_messages_are_sent_as_they_are(scripted: Scripted, open_endpoint: Open) -> None:
    messages = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hello"}]
    open_endpoint(scripted.base_url).call(messages, model="m", params={}, n=1)
    assert sent(scripted)["messages"] == messages


def test_one_answer_is_asked_for_without_n(scripted: Scripted, open_endpoint: Open) -> None:
    open_endpoint(scripted.base_url).call("x", model="m", params=PARAMS, n=1)
    assert "n" not in sent(scripted)


def test_a_parameter_that_is_none_is_left_out(scripted: Scripted, open_endpoint: Open) -> None:
    params = {"temperature": None, "stop": None, "max_tokens": 5}
    open_endpoint(scripted.base_url).call("x", model="m", params=params, n=1)
    assert set(sent(scripted)) == {"model", "messages", "max_tokens"}


def test_parameters_that_the_client_does_not_know_are_passed_on(
    scripted: Scripted, open_endpoint: Open
) -> None:
    params = {"top_k": 40, "presence_penalty": 0.1, "extra_body": {"min_p": 0.05}}
    open_endpoint(scripted.base_url).call("x", model="m", params=params, n=1)
    body = sent(scripted)
    assert (body["top_k"], body["min_p"], body["presence_penalty"]) == (40, 0.05, 0.1)


def test_the_completions_api_takes_a_prompt(scripted: Scripted, open_endpoint: Open) -> None:
    scripted.pieces = [json.dumps({"choices": [{"text": " world"}]}).encode()]
    answer = open_endpoint(scripted.base_url, api="completions").call(
        "hello", model="m", params={"max_tokens": 9, "best_of": 4}, n=2
    )
    assert scripted.requests[-1][0] == "/v1/completions"
    expected = {"model": "m", "prompt": "hello", "max_tokens": 9, "best_of": 4, "n": 2}
    assert sent(scripted) == expected
    assert answer.completions[0].text == " world"


def test_the_completions_api_refuses_messages(scripted: Scripted, open_endpoint: Open) -> None:
    endpoint = open_endpoint(scripted.base_url, api="completions")
    with pytest.raises(Refused, match="takes a text"):
        endpoint.call([{"role": "user", "content": "x"}], model="m", params={}, n=1)
    assert scripted.requests == []


def test_azure_is_called_by_deployment_with_its_own_header(
    scripted: Scripted, open_endpoint: Open
) -> None:
    endpoint = open_endpoint(
        scripted.root_url, key="azure-key-1", provider="azure", api_version="2024-10-21"
    )
    endpoint.call("x", model="dep", params=PARAMS, n=1)
    path, headers, body = scripted.requests[-1]
    assert path == "/openai/deployments/dep/chat/completions?api-version=2024-10-21"
    assert headers["api-key"] == "azure-key-1"
    assert body["max_completion_tokens"] == 64
    assert "max_tokens" not in body


@pytest.mark.parametrize(
    ("base_url", "own"),
    [
        (None, True),
        ("https://api.openai.com/v1", True),
        ("https://eu.api.openai.com/v1", True),
        ("http://gpu-7:8000/v1", False),
        ("https://openai.com.example.org/v1", False),
        ("https://evil-openai.com/v1", False),
    ],
)
def test_openai_is_known_by_its_host(base_url: str | None, own: bool, open_endpoint: Open) -> None:
    endpoint = open_endpoint(base_url)
    _, arguments = endpoint._request("x", model="m", params={"max_tokens": 5}, n=1)
    assert ("max_completion_tokens" in arguments) is own
    assert ("max_tokens" in arguments) is not own


def test_a_rehearsal_is_never_sent_a_credential(
    scripted: Scripted, open_endpoint: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.setenv(name, "canary")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "Authorization: Bearer canary")
    key = llm.key_of(
        EndpointSpec(),
        base_url=scripted.base_url,
        source=Source.REHEARSAL,
        environ={"OPENAI_API_KEY": "canary"},
    )
    open_endpoint(scripted.base_url, key=key).call("x", model="m", params={}, n=1)
    headers = scripted.requests[-1][1]
    assert headers["authorization"] == "Bearer rehearsal"
    assert "canary" not in str(headers)


def test_the_key_is_the_environments() -> None:
    environ = {"OPENAI_API_KEY": " sk-1 ", "AZURE_OPENAI_API_KEY": "az-1"}
    azure = EndpointSpec(provider="azure")
    of = lambda spec, url, env: llm.key_of(spec, base_url=url, source=Source.MODEL, environ=env)  # noqa: E731
    assert of(EndpointSpec(), None, environ) == "sk-1"
    assert of(azure, "https://x.openai.azure.com", environ) == "az-1"
    assert of(EndpointSpec(), "http://gpu-7/v1", {}) == llm.NO_KEY
    for spec, url in ((EndpointSpec(), None), (azure, "https://x.openai.azure.com")):
        with pytest.raises(Unauthorised, match="is not set where the workers run"):
            of(spec, url, {})
    with pytest.raises(Unauthorised, match="is no key"):
        of(EndpointSpec(), None, {"OPENAI_API_KEY": "sk-\u2019quoted"})


def test_the_nearest_base_url_wins() -> None:
    environ = {"OPENAI_BASE_URL": "http://c/v1"}
    spec = EndpointSpec(base_url="http://b/v1")
    assert llm.base_url_of(spec, override="http://a/v1", environ=environ) == "http://a/v1"
    assert llm.base_url_of(spec, override=None, environ=environ) == "http://b/v1"
    assert llm.base_url_of(EndpointSpec(), override=None, environ=environ) == "http://c/v1"
    assert llm.base_url_of(EndpointSpec(), override=None, environ={}) is None


def test_an_answer_without_content_is_an_empty_text(
    scripted: Scripted, open_endpoint: Open
) -> None:
    """Reasoning used up all tokens: it is paid for, and has nothing to run."""
    choice = {"message": {"content": None}, "finish_reason": "length"}
    scripted.answer(choices=[choice])
    [completion] = open_endpoint(scripted.base_url).call("x", model="m", params={}, n=1).completions
    assert (completion.text, completion.finish_reason) == ("", "length")


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {},
        [],
        {"prompt_tokens": 3},
        {"prompt_tokens": -1, "completion_tokens": 1},
        {"prompt_tokens": 3, "completion_tokens": True},
        {"prompt_tokens": 3.5, "completion_tokens": 1},
        {"prompt_tokens": 10**30, "completion_tokens": 1},
        {"prompt_tokens": 0, "completion_tokens": 1},
        {"prompt_tokens": 3, "completion_tokens": 0},
    ],
)
def test_a_usage_that_is_none_is_not_taken_for_zero(
    usage: object, scripted: Scripted, open_endpoint: Open
) -> None:
    scripted.answer("yes", usage=usage)
    assert open_endpoint(scripted.base_url).call("x", model="m", params={}, n=1).usage is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>Just a moment</html>",
        b'{"choices": [{"message": {"cont',
        b"[]",
        b"null",
        b"7",
        b"{}",
        b'{"choices": []}',
        b'{"choices": null}',
        b'{"choices": {"a": 1}}',
        b'{"choices": [null]}',
        b'{"choices": [{}]}',
        b'{"choices": [{"message": null}]}',
        b'{"choices": [{"message": {"content": ["a"]}}]}',
        b'{"choices": [{"text": 7}]}',
        b"[" * 100_000,
    ],
)
def test_200_with_garbage_is_in_doubt(body: bytes, scripted: Scripted, open_endpoint: Open) -> None:
    scripted.pieces = [body]
    with pytest.raises(InDoubt, match="200"):
        open_endpoint(scripted.base_url).call("x", model="m", params={}, n=1)


def test_an_answer_that_drips_for_ever_ends_at_its_deadline(
    scripted: Scripted, open_endpoint: Open
) -> None:
    """Every byte comes in time; the whole does not."""
    scripted.pieces, scripted.endless = [b'{"choices": ['], True
    endpoint = open_endpoint(scripted.base_url, timeout_s=0.3)
    begun_s = time.monotonic()
    with pytest.raises(InDoubt, match=r"longer than 0\.3 s"):
        endpoint.call("x", model="m", params={}, n=1)
    assert time.monotonic() - begun_s < endpoint.call_s_max


def test_an_answer_without_end_is_not_kept_in_memory(
    scripted: Scripted, open_endpoint: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(llm, "ANSWER_BYTES_MAX", 1000)
    scripted.pieces = [b"x" * 600, b"x" * 600]
    with pytest.raises(InDoubt, match="larger"):
        open_endpoint(scripted.base_url).call("x", model="m", params={}, n=1)


def test_a_redirect_is_not_followed(scripted: Scripted, open_endpoint: Open) -> None:
    scripted.status = 307
    with pytest.raises(Unavailable):
        open_endpoint(scripted.base_url).call("x", model="m", params={}, n=1)
    assert len(scripted.requests) == 1


def test_a_server_that_is_not_there_was_not_paid(open_endpoint: Open) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}/v1"
        with pytest.raises(Unavailable, match="can't be reached"):
            open_endpoint(url).call("x", model="m", params={}, n=1)


def test_nothing_is_sent_twice(scripted: Scripted, open_endpoint: Open) -> None:
    for status in (408, 409, 429, 500, 503):
        scripted.status, scripted.requests = status, []
        with pytest.raises(Exception, match=str(status)):
            open_endpoint(scripted.base_url).call("x", model="m", params={}, n=1)
        assert len(scripted.requests) == 1
