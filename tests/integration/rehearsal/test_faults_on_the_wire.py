"""Each fault as the openai client sees it, and what the books say of it."""

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import openai
import pytest
from openai import OpenAI

from rehearsal import RehearsalServer

from .conftest import wait_until


@pytest.mark.parametrize(
    ("kind", "error", "code", "outcome"),
    [
        ("429", openai.RateLimitError, "rate_limit_exceeded", "429"),
        ("insufficient_quota", openai.RateLimitError, "insufficient_quota", "429"),
        ("400", openai.BadRequestError, "unsupported_parameter", "400"),
        ("401", openai.AuthenticationError, "invalid_api_key", "401"),
        ("402", openai.APIStatusError, "payment_required", "402"),
        ("403", openai.PermissionDeniedError, "unsupported_country_region_territory", "403"),
        ("404", openai.NotFoundError, "model_not_found", "404"),
        ("408", openai.APIStatusError, None, "408"),
        (
            "project_spend_limit_exceeded",
            openai.RateLimitError,
            "project_spend_limit_exceeded",
            "429",
        ),
        ("prompt_filter", openai.BadRequestError, "content_filter", "400"),
        ("500", openai.InternalServerError, None, "500"),
        ("502", openai.InternalServerError, None, "502"),
        ("503", openai.InternalServerError, None, "503"),
    ],
)
def test_an_error_status_is_not_billed(
    client: OpenAI,
    server: RehearsalServer,
    asked: dict[str, Any],
    kind: str,
    error: type[openai.APIStatusError],
    code: str | None,
    outcome: str,
) -> None:
    server.set_faults([{"kind": kind, "next": 1}])
    with pytest.raises(error) as caught:
        client.chat.completions.create(**asked)
    assert caught.value.code == code
    books = server.books()
    assert (books.calls, books.billed_calls, dict(books.by_status)) == (1, 0, {outcome: 1})
    assert client.chat.completions.create(**asked).choices


def test_a_rate_limit_says_when_to_come_again(
    client: OpenAI, server: RehearsalServer, asked: dict[str, Any]
) -> None:
    server.set_faults([{"kind": "429", "next": 1, "retry_after_s": 2.5}])
    with pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(**asked)
    assert caught.value.response.headers["retry-after"] == "2.5"


def test_a_connection_cut_before_processing_is_not_billed(
    client: OpenAI, server: RehearsalServer, asked: dict[str, Any]
) -> None:
    server.set_faults([{"kind": "cut_before", "next": 1}])
    with pytest.raises(openai.APIConnectionError):
        client.chat.completions.create(**asked)
    books = server.books()
    assert (books.billed_calls, dict(books.by_status)) == (0, {"cut": 1})


def test_a_connection_cut_after_billing_is_billed_and_not_delivered(
    client: OpenAI, server: RehearsalServer, asked: dict[str, Any]
) -> None:
    server.set_faults([{"kind": "cut_after", "next": 1}])
    with pytest.raises(openai.APIConnectionError):
        client.chat.completions.create(**asked)
    books = server.books()
    assert (books.billed_calls, books.completed, dict(books.by_status)) == (1, 0, {"cut": 1})
    assert books.billed_nanodollars > 0
    assert [record.delivered for record in books.records] == [False]


def test_a_client_that_does_not_wait_is_billed_all_the_same(
    server: RehearsalServer, connect: Callable[..., OpenAI], asked: dict[str, Any]
) -> None:
    server.set_faults([{"kind": "slow", "next": 1, "delay_s": 2}])
    with pytest.raises(openai.APITimeoutError):
        connect(server, timeout=1).chat.completions.create(**asked)
    wait_until(lambda: server.books().billed_calls == 1)
    wait_until(lambda: server.books().in_flight == 0)
    assert [record.delivered for record in server.books().records] == [False]


def test_a_body_that_is_not_json_is_billed_and_no_answer(
    client: OpenAI, server: RehearsalServer, asked: dict[str, Any]
) -> None:
    """The client lets the JSON decoder's own error through: it is none of openai's."""
    server.set_faults([{"kind": "garbage", "next": 1}])
    with pytest.raises(json.JSONDecodeError):
        client.chat.completions.create(**asked)
    books = server.books()
    assert (books.billed_calls, books.completed, dict(books.by_status)) == (1, 0, {"200": 1})


def test_a_web_page_is_billed_and_no_answer(
    client: OpenAI, server: RehearsalServer, asked: dict[str, Any]
) -> None:
    """The client returns the page's text where a ChatCompletion is promised."""
    server.set_faults([{"kind": "web_page", "next": 1}])
    response: Any = client.chat.completions.create(**asked)
    assert isinstance(response, str)
    assert (server.books().billed_calls, server.books().completed) == (1, 0)


@pytest.mark.parametrize(
    ("kind", "choices"), [("no_choices", None), ("empty_choices", 0), ("fewer_choices", 2)]
)
def test_choices_may_be_missing_and_all_are_billed(
    client: OpenAI, server: RehearsalServer, asked: dict[str, Any], kind: str, choices: int | None
) -> None:
    server.set_faults([{"kind": kind, "next": 1}])
    raw = client.chat.completions.with_raw_response.create(**asked, n=3)
    body = json.loads(raw.content)
    assert (len(body["choices"]) if "choices" in body else None) == choices
    (record,) = server.books().records
    assert (record.n, record.delivered) == (3, False)
    assert body["usage"]["completion_tokens"] == record.completion_tokens


def test_an_odd_answer_is_an_answer(
    client: OpenAI, server: RehearsalServer, asked: dict[str, Any]
) -> None:
    server.set_faults(
        [{"kind": kind, "next": 1} for kind in ("snapshot", "no_usage", "content_filter")]
    )
    snapshot, no_usage, filtered = (client.chat.completions.create(**asked) for _ in range(3))
    assert snapshot.model == "small-2026-11-01"
    assert no_usage.usage is None
    assert filtered.choices[0].finish_reason == "content_filter"
    assert filtered.choices[0].message.content is None
    assert (server.books().billed_calls, server.books().completed) == (3, 3)


def test_limits_are_announced_and_enforced(
    serve: Callable[..., RehearsalServer], connect: Callable[..., OpenAI], asked: dict[str, Any]
) -> None:
    server = serve(limits={"small": (2, 100_000)})
    client = connect(server)
    for left in ("1", "0"):
        raw = client.chat.completions.with_raw_response.create(**asked, max_tokens=50)
        assert raw.headers["x-ratelimit-limit-requests"] == "2"
        assert raw.headers["x-ratelimit-remaining-requests"] == left
    with pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(**asked, max_tokens=50)
    assert float(caught.value.response.headers["retry-after"]) > 0
    assert caught.value.response.headers["x-ratelimit-limit-tokens"] == "100000"
    records = server.books().records
    assert len(records) == 2
    assert records[0].tokens_asked == records[0].prompt_tokens + 50
    assert records[0].arrived_s <= records[1].arrived_s


def test_faults_can_be_set_and_read_over_http(
    client: OpenAI, server: RehearsalServer, asked: dict[str, Any]
) -> None:
    faults = json.dumps([{"kind": "500", "probability": 1}]).encode()
    with urllib.request.urlopen(f"{server.root_url}/_faults", data=faults) as reply:
        assert json.load(reply)[0]["kind"] == "500"
    with pytest.raises(openai.InternalServerError):
        client.chat.completions.create(**asked)
    with urllib.request.urlopen(f"{server.root_url}/_faults", data=b"[]") as reply:
        assert json.load(reply) == []
    assert client.chat.completions.create(**asked).choices


def test_a_fault_that_is_none_is_refused_over_http(server: RehearsalServer) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{server.root_url}/_faults", data=b'[{"kind": "meteor"}]')
    with caught.value as reply:
        assert reply.status == 400
        assert json.load(reply)["error"]["param"] == "kind"
