"""Every way in which a call can fail: its kind is its rule, and no reason shows a key."""

import json
from typing import Any

import httpx2
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.failures import (
    REASON_CHARACTERS_MAX,
    CallFailed,
    Filtered,
    Forbidden,
    InDoubt,
    Misconfigured,
    NotBilled,
    OtherName,
    OutOfQuota,
    Overlong,
    RateLimited,
    Refused,
    Unauthorised,
    Unavailable,
    redacted,
    translated,
)

KEY = "sk-canary-0123456789abcdef"
REQUEST = httpx2.Request("POST", "http://127.0.0.1/v1/chat/completions")
MAKER = openai.OpenAI(api_key=KEY, base_url="http://127.0.0.1/v1")


def status_error(
    status: int, body: object = None, headers: dict[str, str] | None = None
) -> openai.APIStatusError:
    """The error that the real client makes of a response."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    response = httpx2.Response(status, content=content, headers=headers or {}, request=REQUEST)
    return MAKER._make_status_error_from_response(response)


def own(message: str = "no", **fields: Any) -> dict[str, Any]:
    """An error body in the API's own form."""
    return {"error": {"message": message, **fields}}


PAGE = b"<html>Bad Gateway</html>"

RULES: list[tuple[int, object, type[CallFailed]]] = [
    # status, body, the rule
    (400, own(code="unsupported_parameter"), Refused),
    (400, own(code="context_length_exceeded"), Overlong),
    (400, own(code="content_filter"), Filtered),  # Azure
    (400, own(code="content_policy_violation"), Filtered),
    (400, own(code="invalid_prompt"), Filtered),  # reasoning models
    (400, {"object": "error", "message": "bad temperature"}, Refused),  # vLLM
    (400, {"error": "model is required"}, Refused),  # Ollama
    (422, {"detail": [{"msg": "bad"}]}, Refused),  # FastAPI
    (404, own(code="model_not_found"), Refused),
    (404, own(code="unrecorded_cell"), Refused),
    (422, own(code="cell_exhausted"), Refused),
    (403, own(code="model_not_found"), Refused),
    (404, {"detail": "Not Found"}, Unavailable),  # a wrong path, not a wrong model
    (404, PAGE, Unavailable),
    (400, PAGE, Unavailable),
    (301, b"", Unavailable),
    (409, own(), Unavailable),
    (424, own(), Unavailable),
    (400, own(code="unsupported_parameter", param="max_tokens"), OtherName),
    (400, own("Unrecognized request argument supplied: max_completion_tokens"), OtherName),  # Azure
    (400, own(code="invalid_value", param="max_tokens"), Refused),  # too large a number
    (400, own(code="unsupported_value", param="temperature"), Refused),  # reasoning models
    (404, own(code="DeploymentNotFound"), Refused),  # Azure, and so the next six
    (400, own(code="OperationNotSupported"), Refused),
    (404, own("Resource not found", code="404"), Misconfigured),
    (400, own(code="InvalidApiVersionParameter"), Misconfigured),
    (400, own("API version not supported", code="BadRequest"), Misconfigured),
    (400, own("o1 is enabled only for api versions 2024-12-01-preview and later"), Refused),
    (
        400,
        own(code="content_filter", innererror={"code": "ResponsibleAIPolicyViolation"}),
        Filtered,
    ),
    (401, own(code="invalid_api_key"), Unauthorised),
    (401, PAGE, Unauthorised),
    (403, own(code="unsupported_country_region_territory"), Unauthorised),
    (402, own(), OutOfQuota),
    (429, own(code="insufficient_quota"), OutOfQuota),
    (429, own(type="insufficient_quota"), OutOfQuota),
    (429, own(code="credit_balance_exhausted"), OutOfQuota),
    (429, own(code="project_spend_limit_exceeded"), OutOfQuota),
    (429, own(code="organization_spend_limit_exceeded"), OutOfQuota),
    (429, own(code="rate_limit_exceeded"), RateLimited),
    (429, PAGE, RateLimited),
    (500, own(), Unavailable),
    (503, own(), Unavailable),
    (500, PAGE, InDoubt),
    (503, PAGE, InDoubt),
    (502, own(), InDoubt),
    (504, own(), InDoubt),
    (529, own(), InDoubt),
    (408, own(), InDoubt),
]


@pytest.mark.parametrize(("status", "body", "kind"), RULES)
def test_each_status_has_its_rule(status: int, body: object, kind: type[CallFailed]) -> None:
    assert type(translated(status_error(status, body), key=KEY)) is kind


@pytest.mark.parametrize(
    ("cause", "kind"),
    [
        (httpx2.ConnectError("refused"), Unavailable),
        (httpx2.ConnectTimeout("slow"), Unavailable),
        (httpx2.PoolTimeout("full"), Unavailable),
        (httpx2.ReadTimeout("slow"), InDoubt),
        (httpx2.WriteTimeout("slow"), InDoubt),
        (httpx2.ReadError("reset"), InDoubt),
        (httpx2.RemoteProtocolError("cut"), InDoubt),
    ],
)
def test_only_what_was_never_sent_is_not_billed(cause: Exception, kind: type[CallFailed]) -> None:
    wrapped = openai.APIConnectionError(request=REQUEST)
    wrapped.__cause__ = cause
    assert type(translated(wrapped, key=KEY)) is kind
    assert type(translated(cause, key=KEY)) is kind


def test_the_kinds_say_whether_the_call_was_billed() -> None:
    released = {Refused, Unauthorised, OutOfQuota, RateLimited, Unavailable}
    assert all(issubclass(kind, NotBilled) for kind in released)
    assert not any(issubclass(kind, NotBilled) for kind in (InDoubt, Filtered, Overlong))
    assert all(issubclass(kind, Forbidden) for kind in (Unauthorised, OutOfQuota))


@pytest.mark.parametrize(
    ("headers", "retry_after_s"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "120", "retry-after": "1"}, 0.12),
        ({"retry-after": "Thu, 01 Jan 1970 00:01:40 GMT"}, 90.0),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({}, None),
    ],
)
def test_a_retry_after_is_seconds_milliseconds_or_a_date(
    headers: dict[str, str], retry_after_s: float | None
) -> None:
    failure = translated(status_error(429, own(), headers), key=KEY, clock=lambda: 10.0)
    assert isinstance(failure, RateLimited)
    assert failure.retry_after_s == retry_after_s


def test_the_providers_words_are_kept_and_cut() -> None:
    failure = translated(status_error(400, own("temperature is\n too hot. " + "x" * 900)), key=KEY)
    assert failure.reason.startswith("400: temperature is too hot. xxx")
    assert len(failure.reason) == REASON_CHARACTERS_MAX


@given(before=st.text(max_size=REASON_CHARACTERS_MAX))
def test_no_reason_shows_a_part_of_the_key(before: str) -> None:
    failure = translated(status_error(401, own(f"{before} Incorrect key: {KEY}.")), key=KEY)
    assert "canary" not in failure.reason


def test_what_looks_like_a_key_is_hidden_and_other_words_are_not() -> None:
    assert redacted("key sk-proj-AbC_1234****wxyz given") == "key [key] given"
    assert redacted("Authorization: Bearer abcdefgh.ijk") == "Authorization: [key]"
    assert redacted("a risk-free task, asked") == "a risk-free task, asked"
    assert redacted("my own secret word", secrets=("", "own", "secret word")) == "my own [key]"


@given(st.binary(max_size=200), st.integers(300, 599))
def test_any_error_body_has_a_rule(body: bytes, status: int) -> None:
    assert isinstance(translated(status_error(status, body), key=KEY), CallFailed)


@given(
    st.recursive(
        st.none() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(["error", "message", "code", "type", "detail"]), inner
            )
        ),
    ),
    st.sampled_from([400, 404, 429, 500]),
)
def test_any_json_error_has_a_rule(body: object, status: int) -> None:
    assert isinstance(translated(status_error(status, body), key=KEY), CallFailed)
