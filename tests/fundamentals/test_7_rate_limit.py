"""Lesson 7: the whole fleet shares one rate limit, and waits instead of being refused."""

import pytest

from study.connection import Client
from study.rate_limit import RateLimit


def test_a_call_within_the_limit_goes_ahead_and_the_next_is_told_how_long_to_wait(
    client: Client,
) -> None:
    limit = RateLimit(client, "m", requests_per_minute=2, tokens_per_minute=None)
    assert limit.admit(tokens=100) == 0.0
    assert limit.admit(tokens=100) == pytest.approx(30.5, abs=1.0)


def test_tokens_are_limited_as_requests_are(client: Client) -> None:
    limit = RateLimit(client, "m", requests_per_minute=None, tokens_per_minute=1_000)
    assert limit.admit(tokens=500) == 0.0
    assert limit.admit(tokens=500) == pytest.approx(30.5, abs=1.0)


def test_a_servers_retry_after_holds_back_every_worker(client: Client) -> None:
    mine, yours = (
        RateLimit(client, "m", requests_per_minute=None, tokens_per_minute=None) for _ in range(2)
    )
    assert yours.admit(tokens=1) == 0.0
    mine.pause(20.0)
    assert yours.admit(tokens=1) == pytest.approx(20.0, abs=1.0)
