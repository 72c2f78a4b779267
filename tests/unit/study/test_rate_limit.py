"""The fleet's rate limit: no minute, wherever it begins, sees more than the limit."""

from collections.abc import Callable
from math import ceil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from study import keys, scripts
from study.connection import Client
from study.rate_limit import BURST_MS, MINUTE_MS, PAUSE_MS_MAX, RateLimit, increment_ms

Admit = Callable[[int, int, int, int], int]


@pytest.fixture
def admit(client: Client) -> Admit:
    """The script with its clock handed in, so that minutes pass at once.

    Returns milliseconds to wait, given the time, tokens, and the two limits.
    """
    clock = "redis.call('TIME')"
    source = scripts.source("admit")
    assert source.count(clock) == 1
    script = client.register_script(source.replace(clock, "{ARGV[5], ARGV[6]}"))

    def call(now_ms: int, tokens: int, requests_limit: int, tokens_limit: int) -> int:
        increments = [increment_ms(limit) for limit in (requests_limit, tokens_limit)]
        names = [keys.rate("m", what) for what in ("requests", "tokens", "pause")]
        clock = [now_ms // 1000, now_ms % 1000 * 1000]
        return int(script(names, [*increments, tokens, BURST_MS, *clock]))

    return call


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    gaps_ms=st.lists(st.integers(0, 9_000), min_size=30, max_size=60),
    requests_limit=st.integers(1, 40),
    tokens_limit=st.integers(100, 4_000),
    tokens=st.integers(1, 300),
)
def test_no_minute_sees_more_than_the_limit(
    admit: Admit,
    client: Client,
    gaps_ms: list[int],
    requests_limit: int,
    tokens_limit: int,
    tokens: int,
) -> None:
    client.flushall()
    now_ms, admitted = 1_000_000, []
    for gap_ms in gaps_ms:
        now_ms += gap_ms
        while not admit(now_ms, tokens, requests_limit, tokens_limit) and len(admitted) < 500:
            admitted.append(now_ms)
    for start in admitted:
        within = [t for t in admitted if start <= t < start + MINUTE_MS]
        assert len(within) <= requests_limit
        assert len(within) * tokens <= tokens_limit + tokens  # one may be larger than the burst


@pytest.mark.parametrize("limit", [1, 2, 30, 60, 120, 600])
def test_the_greediest_fleet_gets_nearly_all_that_a_minute_allows_and_no_more(
    admit: Admit, limit: int
) -> None:
    """Whoever waits as long as told is admitted, and asks again at once."""
    now_ms, admitted = 1_000_000, []
    while now_ms < 1_000_000 + 2 * MINUTE_MS:
        wait_ms = admit(now_ms, 1, limit, 0)
        if wait_ms == 0:
            admitted.append(now_ms)
        now_ms += wait_ms
        assert len(admitted) <= 2 * limit
    for start in admitted:
        assert sum(start <= at < start + MINUTE_MS for at in admitted) <= limit
    assert len(admitted) >= 2 * limit * 0.97


def test_a_call_larger_than_a_minutes_tokens_is_admitted_alone(admit: Admit) -> None:
    assert admit(0, 5_000, 0, 1_000) == 0
    wait_ms = admit(0, 5_000, 0, 1_000)
    assert wait_ms == pytest.approx(5 * (MINUTE_MS + BURST_MS), abs=2)
    assert admit(wait_ms, 5_000, 0, 1_000) == 0


def test_waiting_costs_nothing_a_call_that_one_limit_refuses_is_not_counted_by_the_other(
    admit: Admit,
) -> None:
    assert admit(0, 10, 1, 60_000) == 0
    for _ in range(50):
        assert admit(0, 10, 1, 60_000) == ceil(MINUTE_MS + BURST_MS)
    assert admit(0, 10, 0, 60_000) == 0


def test_a_burst_is_a_seconds_worth(admit: Admit) -> None:
    admitted = 0
    while admit(0, 1, 600, 0) == 0:
        admitted += 1
    assert admitted == pytest.approx(600 / 60, abs=1)


def test_models_have_limits_of_their_own_and_all_keys_end_by_themselves(client: Client) -> None:
    for model in ("m", "n"):
        limit = RateLimit(client, model, requests_per_minute=1, tokens_per_minute=1)
        assert limit.admit(tokens=1) == 0.0
        limit.pause(5.0)
        assert limit.admit(tokens=1) > 0.0
    found = list(client.scan_iter())
    assert len(found) == 6
    assert all(client.pttl(key) > 0 for key in found)


def test_no_limit_is_no_limit(client: Client) -> None:
    limit = RateLimit(client, "m", requests_per_minute=None, tokens_per_minute=None)
    assert [limit.admit(tokens=10**9) for _ in range(100)] == [0.0] * 100
    assert client.dbsize() == 0


@pytest.mark.parametrize(
    ("asked_s", "expected_s"), [(0.0, 0.0), (-3.0, 0.0), (30.0, 30.0), (1e9, PAUSE_MS_MAX / 1000)]
)
def test_a_pause_lasts_as_long_as_asked_up_to_a_bound(
    client: Client, asked_s: float, expected_s: float
) -> None:
    limit = RateLimit(client, "m", requests_per_minute=None, tokens_per_minute=None)
    limit.pause(asked_s)
    assert limit.admit(tokens=1) == pytest.approx(expected_s, abs=0.5)


def test_a_shorter_pause_does_not_end_a_longer_one(client: Client) -> None:
    limit = RateLimit(client, "m", requests_per_minute=None, tokens_per_minute=None)
    limit.pause(60.0)
    limit.pause(1.0)
    assert limit.admit(tokens=1) == pytest.approx(60.0, abs=0.5)
    limit.pause(90.0)
    assert limit.admit(tokens=1) == pytest.approx(90.0, abs=0.5)
