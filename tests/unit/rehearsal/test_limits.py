"""The endpoint's own limit: no minute sees more than it, and its headers say so."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rehearsal.errors import ApiError
from rehearsal.limits import MINUTE_S, Limit, Limiter, duration


def limiter(requests: int | None = None, tokens: int | None = None) -> Limiter:
    return Limiter(limits={"m": Limit(requests=requests, tokens=tokens)})


def test_what_is_above_the_limit_is_refused_until_it_fits() -> None:
    limited = limiter(requests=2)
    assert limited.admit("m", tokens=1, now_s=0.0) == {
        "x-ratelimit-limit-requests": "2",
        "x-ratelimit-remaining-requests": "1",
        "x-ratelimit-reset-requests": "1m0s",
    }
    limited.admit("m", tokens=1, now_s=10.0)
    with pytest.raises(ApiError) as caught:
        limited.admit("m", tokens=1, now_s=20.0)
    assert (caught.value.status, caught.value.retry_after_s) == (429, 40.0)
    assert caught.value.headers["x-ratelimit-remaining-requests"] == "0"
    limited.admit("m", tokens=1, now_s=60.0)


def test_a_call_larger_than_the_limit_passes_alone() -> None:
    limited = limiter(tokens=100)
    limited.admit("m", tokens=500, now_s=0.0)
    with pytest.raises(ApiError) as caught:
        limited.admit("m", tokens=1, now_s=1.0)
    assert caught.value.retry_after_s == 59.0
    limited.admit("m", tokens=500, now_s=60.0)


def test_a_model_without_a_limit_announces_nothing() -> None:
    assert limiter(requests=1).admit("n", tokens=10**9, now_s=0.0) == {}


@given(
    st.lists(st.tuples(st.floats(0, 30), st.integers(1, 50)), max_size=80),
    st.integers(1, 20),
    st.integers(50, 300),
)
def test_no_minute_sees_more(calls: list[tuple[float, int]], requests: int, tokens: int) -> None:
    limited, now_s, passed = limiter(requests, tokens), 0.0, []
    for gap_s, of_it in calls:
        now_s += gap_s
        try:
            limited.admit("m", tokens=of_it, now_s=now_s)
        except ApiError:
            continue
        passed.append((now_s, of_it))
    for start_s, _ in passed:
        within = [of_it for at_s, of_it in passed if start_s <= at_s < start_s + MINUTE_S]
        assert len(within) <= requests
        assert sum(within) <= tokens


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0ms"), (0.12, "120ms"), (8.64, "8.64s"), (60.0, "1m0s"), (432.0, "7m12s")],
)
def test_durations_read_as_openais(seconds: float, text: str) -> None:
    assert duration(seconds) == text
