"""The rate limits that headers name: those per minute, whatever else the provider counts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.rate_limit import Limits
from workers import announced


@pytest.mark.parametrize(
    ("text", "expected_s"),
    [
        ("120ms", 0.12),
        ("6m0s", 360.0),
        ("1h2m3.5s", 3723.5),
        ("0s", 0.0),
        ("7", 7.0),
        ("1d", 86_400.0),
        ("", None),
        ("soon", None),
        ("6m0", None),
        ("-1s", None),
        ("nan", None),
        ("inf", None),
    ],
)
def test_a_duration_is_read_as_providers_write_it(text: str, expected_s: float | None) -> None:
    assert announced.seconds(text) == (None if expected_s is None else pytest.approx(expected_s))


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, Limits()),
        (
            {
                "x-ratelimit-limit-requests": "500",
                "x-ratelimit-remaining-requests": "499",
                "x-ratelimit-reset-requests": "120ms",
                "x-ratelimit-limit-tokens": "200000",
                "x-ratelimit-remaining-tokens": "199984",
                "x-ratelimit-reset-tokens": "4ms",
            },
            Limits(requests_per_minute=500, tokens_per_minute=200_000),
        ),
        ({"x-ratelimit-limit-tokens": "1000"}, Limits(tokens_per_minute=1000)),
        # A day's allowance is no rate: 7 minutes until one request is free again.
        (
            {"x-ratelimit-limit-requests": "200", "x-ratelimit-reset-requests": "7m12s"},
            Limits(),
        ),
        ({"x-ratelimit-limit-requests": "0"}, Limits()),
        ({"x-ratelimit-limit-requests": "-1"}, Limits()),
        ({"x-ratelimit-limit-requests": "1e3"}, Limits()),
        ({"x-ratelimit-limit-requests": "9" * 30}, Limits()),
    ],
)
def test_the_headers_limits_per_minute(headers: dict[str, str], expected: Limits) -> None:
    assert announced.limits(headers) == expected


@given(
    st.dictionaries(
        st.sampled_from(
            [f"x-ratelimit-{a}-{b}" for a in ("limit", "reset") for b in ("requests", "tokens")]
        ),
        st.text(),
    )
)
def test_any_header_is_read_without_harm(headers: dict[str, str]) -> None:
    found = announced.limits(headers)
    assert all(limit is None or limit > 0 for limit in vars(found).values())
