"""Lesson 7: the whole fleet shares one rate limit, and waits its turn instead of being refused."""

import pytest

from study.connection import Client
from study.rate_limit import Later, Limits, RateLimit, Turn
from tests.redis_clock import Clocked


@pytest.fixture
def client(clocked: Clocked) -> Client:
    """On a clock that stands still: how long this machine takes is no matter."""
    return clocked.client


def limit_of(client: Client, requests: int | None = None, tokens: int | None = None) -> RateLimit:
    return RateLimit(
        client,
        endpoint="api.example.org/v1",
        model="m",
        requests_per_minute=requests,
        tokens_per_minute=tokens,
    )


def wait_s(limit: RateLimit, tokens: int = 100) -> float:
    turn = limit.book(tokens, wait_s_max=60.0)
    assert isinstance(turn, Turn)
    return turn.wait_s


def test_a_call_within_the_limit_goes_ahead_and_the_next_books_a_turn(client: Client) -> None:
    limit = limit_of(client, requests=2)
    assert wait_s(limit) == 0.0
    assert wait_s(limit) == pytest.approx(30.5, abs=0.2)


def test_tokens_are_limited_as_requests_are(client: Client) -> None:
    limit = limit_of(client, tokens=1_000)
    assert wait_s(limit, tokens=500) == 0.0
    assert wait_s(limit, tokens=500) == pytest.approx(30.5, abs=0.2)


def test_whoever_would_wait_too_long_is_told_when_to_ask_again(client: Client) -> None:
    limit = limit_of(client, requests=1)
    assert wait_s(limit) == 0.0
    assert isinstance(limit.book(100, wait_s_max=20.0), Later)


def test_what_one_worker_learns_of_the_providers_limits_all_know(client: Client) -> None:
    mine, yours = limit_of(client), limit_of(client)
    mine.learn(Limits(requests_per_minute=2), known=None)
    assert wait_s(yours) == 0.0
    assert wait_s(yours) == pytest.approx(30.5, abs=0.2)


def test_a_servers_retry_after_holds_back_every_worker(client: Client) -> None:
    mine, yours = limit_of(client), limit_of(client)
    assert wait_s(yours) == 0.0
    mine.pause(20.0)
    assert wait_s(yours) == pytest.approx(20.0, abs=0.2)
