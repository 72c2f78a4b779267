"""What a request brings, and what its failures are called."""

from typing import Any

import pytest

from bursar.completion import Choice, Completer, Request, Response, extract_text
from study.errors import CredentialsError, InfrastructureError, SpecError
from study.paid_calls import Completion
from study.prices import Price, Usage
from study.spec import EndpointSpec
from workers import failures
from workers.llm import Answer

REQUEST = Request(rendered="hello", model="m", params={"max_tokens": 9}, n=3)
PRICE = Price.from_usd(input=1.0, output=2.0)


class ScriptedEndpoint:
    """Answers, or fails, as it was told, call by call."""

    def __init__(self, *script: Any) -> None:
        self.script = list(script)
        self.asked: list[int] = []

    def call(self, rendered: Any, *, model: str, params: Any, n: int) -> Answer:
        self.asked.append(n)
        found = self.script.pop(0)
        if isinstance(found, Exception):
            raise found
        return Answer(
            completions=tuple(Completion(text=t, finish_reason="stop") for t in found),
            usage=Usage(prompt_tokens=10, completion_tokens=len(found)),
            model="m-1",
            fingerprint="f",
            latency_s=0.1,
        )


def completed(
    monkeypatch: pytest.MonkeyPatch, *script: Any
) -> tuple[Response, ScriptedEndpoint, list[float]]:
    endpoint, waits = ScriptedEndpoint(*script), []
    monkeypatch.setattr("workers.llm.Endpoint.open", lambda *args, **kwargs: endpoint)
    completer = Completer(EndpointSpec(base_url="http://localhost:1/v1"), sleep=waits.append)
    response = completer.complete(REQUEST, price=PRICE, config={"model": "m"})
    return response, endpoint, waits


def test_a_response_says_answers_usage_cost_and_config(monkeypatch: pytest.MonkeyPatch) -> None:
    response, _, _ = completed(monkeypatch, ["a", "b", "c"])
    assert extract_text(response) == ["a", "b", "c"]
    assert response.choices[1].message.content == "b"
    assert response.usage == Usage(prompt_tokens=10, completion_tokens=3)
    assert response.cost == pytest.approx(16e-6)
    assert response.config == {"model": "m"}


def test_a_server_that_ignores_n_is_asked_for_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    response, endpoint, _ = completed(monkeypatch, ["a"], ["b"], ["c"])
    assert endpoint.asked == [3, 2, 1]
    assert [choice.index for choice in response.choices] == [0, 1, 2]
    assert response.usage.prompt_tokens == 30


def test_what_was_not_billed_and_may_pass_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    full = failures.RateLimited("full", retry_after_s=7.0)
    response, _, waits = completed(monkeypatch, full, ["a", "b", "c"])
    assert waits == [7.0]
    assert len(response.choices) == 3


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (failures.Unauthorised("no"), CredentialsError),
        (failures.OutOfQuota("no"), CredentialsError),
        (failures.Refused("no"), SpecError),
        (failures.InDoubt("cut off"), InfrastructureError),
    ],
)
def test_a_failure_is_told_in_our_words_and_not_tried_again(
    monkeypatch: pytest.MonkeyPatch, failure: Exception, error: type[Exception]
) -> None:
    with pytest.raises(error):
        completed(monkeypatch, failure)


def test_tries_end(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InfrastructureError, match="does not answer"):
        completed(monkeypatch, *[failures.Unavailable("down")] * 9)


def test_text_is_extracted_from_what_the_openai_package_returns() -> None:
    choices = (Choice(index=0, text="x", finish_reason="stop"),)
    response = Response(
        model="m",
        choices=choices,
        usage=Usage(prompt_tokens=0, completion_tokens=0),
        cost=None,
        config={},
    )
    assert extract_text(response) == ["x"]
    assert extract_text({"choices": [{"text": "y"}]}) == ["y"]
    assert extract_text({"choices": [{"message": {"content": None}}]}) == [""]
