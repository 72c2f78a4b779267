"""The fleet's rate limit: no minute, wherever it begins, sees more than the limit, nor much less."""

import heapq
import random
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from study.connection import Client
from study.rate_limit import (
    AGAIN_MS_MAX,
    BURST_MS,
    MINUTE_MS,
    PACE_MS,
    PAUSE_MS,
    PAUSE_MS_MAX,
    SLACK_MS,
    SPELL_MS,
    UNKNOWN_MS,
    Later,
    Limits,
    Load,
    RateLimit,
    Turn,
    share_of,
)
from tests.redis_clock import FIRST_MS, Clocked

WAIT_S = 20.0
DAY_MS = 86_400_000


def booked(limit: RateLimit, tokens: int = 1, *, wait_s_max: float = 1e6) -> float:
    """Seconds until the turn."""
    turn = limit.book(tokens, wait_s_max=wait_s_max)
    assert isinstance(turn, Turn)
    return turn.wait_s


def most_in_a_minute(at_ms: list[float], units: int = 1) -> int:
    ordered = sorted(at_ms)
    return units * max(
        bisect_left(ordered, start + MINUTE_MS) - i for i, start in enumerate(ordered)
    )


# A fleet of slots, simulated.


@dataclass
class Fleet:
    """Slots that have work without end: each books, waits, calls, and begins again."""

    clocked: Clocked
    limit: Callable[[], RateLimit]
    slots: int
    tokens: int = 100
    call_ms: float = 1_000
    announces: Limits | None = None
    prompt: Load | None = None
    counted: int = 0
    seed: int = 0
    arrivals: list[float] = field(default_factory=list)
    waited_s: list[float] = field(default_factory=list)
    asked: int = 0

    def run(self, minutes: float) -> "Fleet":
        chance, limit, order = random.Random(self.seed), self.limit(), count()
        events = [(FIRST_MS, next(order), "ask", None) for _ in range(self.slots)]
        heapq.heapify(events)
        end_ms = FIRST_MS + minutes * MINUTE_MS

        def at(ms: float, what: str, turn: Turn | None = None) -> None:
            heapq.heappush(events, (ms, next(order), what, turn))

        while events and events[0][0] < end_ms:
            now_ms, _, what, turn = heapq.heappop(events)
            self.clocked.at(now_ms)
            if what == "turn" and turn is not None and not limit.stands(turn):
                what = "ask"
            if what == "answer" and turn is not None and self.announces is not None:
                limit.learn(self.announces, known=turn.learned)
            if what == "answer" and turn is not None and self.prompt is not None:
                share = share_of(self.prompt, self.counted, turn=turn, announced=Limits())
                limit.learn(Limits(), known=turn.learned, share=share)
            if what in ("ask", "answer"):
                found = limit.book(self.prompt or self.tokens, wait_s_max=WAIT_S)
                self.asked += 1
                if isinstance(found, Later):
                    at(now_ms + 1000 * found.wait_s * chance.uniform(0.7, 1), "ask")
                    continue
                self.waited_s.append(found.wait_s)
                at(now_ms + 1000 * found.wait_s, "turn", found)
                continue
            self.arrivals.append(now_ms + chance.uniform(0, SLACK_MS - BURST_MS))  # a slow machine
            at(now_ms + self.call_ms, "answer", turn)
        return self

    def within(self, first_minute: float, last_minute: float) -> float:
        """Calls a minute that arrived within these minutes."""
        low, high = (FIRST_MS + minute * MINUTE_MS for minute in (first_minute, last_minute))
        return sum(low <= at < high for at in self.arrivals) / (last_minute - first_minute)


@pytest.mark.parametrize(("per_minute", "minutes"), [(30, 5), (300, 3), (1_500, 2)])
def test_five_hundred_slots_use_the_limit_and_never_pass_it(
    per_minute: int, minutes: int, clocked: Clocked
) -> None:
    fleet = Fleet(clocked, lambda: clocked.limit(requests=per_minute), slots=500).run(minutes)
    assert most_in_a_minute(fleet.arrivals) <= per_minute
    assert fleet.within(0, minutes) >= 0.97 * per_minute
    assert max(fleet.waited_s) <= WAIT_S
    assert fleet.asked < 6 * (len(fleet.arrivals) + 500)  # they are not told to ask all the time


def test_tokens_are_limited_as_requests_are(clocked: Clocked) -> None:
    fleet = Fleet(
        clocked, lambda: clocked.limit(requests=10_000, tokens=300_000), slots=500, tokens=1_000
    ).run(minutes=4)
    assert most_in_a_minute(fleet.arrivals, units=1_000) <= 300_000
    assert fleet.within(0, 4) >= 0.97 * 300


def test_prompts_are_counted_as_a_first_answer_shows_and_not_for_the_most_that_they_can_have(
    clocked: Clocked,
) -> None:
    """Else a fleet's first minute would use half of the tokens that it may."""
    prompt = Load(answers_tokens=400, prompt_tokens=1_100, is_counted=False)
    fleet = Fleet(
        clocked, lambda: clocked.limit(tokens=300_000), slots=500, prompt=prompt, counted=100
    ).run(minutes=2)
    assert most_in_a_minute(fleet.arrivals, units=500) <= 300_000
    assert fleet.within(0, 1) >= 0.95 * 600


def test_what_is_seen_of_prompts_only_grows(clocked: Clocked) -> None:
    limit = clocked.limit(tokens=60_000)
    prompt = Load(answers_tokens=0, prompt_tokens=1_000, is_counted=False)
    turn = limit.book(prompt, wait_s_max=60)
    assert isinstance(turn, Turn)
    assert (turn.share, turn.provisional) == (0, True)
    for counted, share in ((200, 200), (100, 200), (300, 300), (None, 300), (2_000, 1_000)):
        seen = share_of(prompt, counted, turn=turn, announced=Limits())
        limit.learn(Limits(), known=turn.learned, share=seen)
        assert limit.stands(turn) == (turn.share is not None and turn.share > 0)
        booked_now = limit.book(prompt, wait_s_max=60)
        assert isinstance(booked_now, Turn)
        turn = booked_now
        assert (turn.share, turn.provisional) == (share, False)
    assert share_of(replace(prompt, is_counted=True), 5_000, turn=turn, announced=Limits()) == 0
    unlimited = clocked.limit(requests=60, model="other").book(prompt, wait_s_max=60)
    assert isinstance(unlimited, Turn)
    assert share_of(prompt, 500, turn=unlimited, announced=Limits()) == 0


def test_what_the_provider_announces_is_learned_by_the_whole_fleet(clocked: Clocked) -> None:
    announced = Limits(requests_per_minute=300, tokens_per_minute=None)
    fleet = Fleet(clocked, clocked.limit, slots=500, announces=announced).run(minutes=3)
    assert most_in_a_minute(fleet.arrivals) <= 300
    assert fleet.within(0, 3) >= 0.97 * 300


def test_a_provider_that_announces_nothing_is_not_limited_once_that_is_known(
    clocked: Clocked,
) -> None:
    fleet = Fleet(clocked, clocked.limit, slots=200, announces=Limits()).run(minutes=0.5)
    first_s = [at for at in fleet.arrivals if at < FIRST_MS + 1_000]
    assert len(first_s) <= 1_000 / UNKNOWN_MS + 2
    assert fleet.within(0.25, 0.5) >= 0.8 * 200 * 60  # a call a second and slot
    assert max(fleet.waited_s) <= WAIT_S


def test_turns_behind_a_pause_stand_and_those_within_it_are_booked_anew(clocked: Clocked) -> None:
    """A 429 that costs half a second does not send hundreds of waiting threads back to the queue."""
    limit = clocked.limit(requests=600)
    turns = [limit.book(1, wait_s_max=WAIT_S) for _ in range(100)]
    limit.pause(0.1)
    standing = [isinstance(turn, Turn) and limit.stands(turn) for turn in turns]
    assert standing == sorted(standing)
    assert sum(standing) == pytest.approx(95, abs=2)
    assert booked(limit) == pytest.approx(100 * (MINUTE_MS + SLACK_MS) / 600_000, abs=0.1)


def test_when_a_pause_ends_the_fleet_does_not_burst(clocked: Clocked) -> None:
    """Turns that were booked before it are void: all book anew, behind it, and spaced."""
    limit = clocked.limit()
    limit.learn(Limits(), known=None)
    turns = [limit.book(1, wait_s_max=WAIT_S) for _ in range(100)]
    assert all(isinstance(turn, Turn) and turn.wait_s == 0 for turn in turns)
    assert limit.pause(7.0) == 7.0
    assert not any(limit.stands(turn) for turn in turns if isinstance(turn, Turn))
    waits = [booked(limit) for _ in range(100)]
    assert waits[0] == 7.0
    assert waits[-1] == pytest.approx(7.0 + (100 * PACE_MS - BURST_MS) / 1000, abs=0.05)


# The formula.


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
    wait_s_max=st.integers(0, 20),
)
def test_no_minute_sees_more_than_the_limit(
    clocked: Clocked,
    gaps_ms: list[int],
    requests_limit: int,
    tokens_limit: int,
    tokens: int,
    wait_s_max: int,
) -> None:
    clocked.client.flushall()
    limit, at_ms = clocked.limit(requests_limit, tokens_limit), []
    clocked.at(FIRST_MS)
    for gap_ms in gaps_ms:
        clocked.later(gap_ms)
        found = limit.book(tokens, wait_s_max=wait_s_max)
        while isinstance(found, Turn) and len(at_ms) < 500:
            at_ms.append(clocked.now_ms + 1000 * found.wait_s)
            found = limit.book(tokens, wait_s_max=wait_s_max)
    assert most_in_a_minute(at_ms) <= requests_limit
    # One call may be larger than the burst.
    assert most_in_a_minute(at_ms, tokens) <= tokens_limit + tokens


@pytest.mark.parametrize("limit", [1, 2, 30, 60, 120, 600])
def test_the_greediest_caller_gets_nearly_all_that_a_minute_allows(
    limit: int, clocked: Clocked
) -> None:
    shared, at_ms = clocked.limit(limit), [0.0]
    while at_ms[-1] < 2 * MINUTE_MS:
        at_ms.append(1000 * booked(shared))
    assert most_in_a_minute(at_ms[1:]) <= limit
    assert len(at_ms) - 2 >= 2 * limit * 0.97 - 1


def test_a_call_larger_than_a_minutes_tokens_goes_alone(clocked: Clocked) -> None:
    limit = clocked.limit(tokens=1_000)
    assert booked(limit, 5_000) == 0
    wait_s = booked(limit, 5_000)
    assert wait_s == pytest.approx(5 * (MINUTE_MS + SLACK_MS) / 1000, abs=0.002)


def test_a_turn_too_far_off_is_not_counted_and_those_told_to_ask_again_are_spread(
    clocked: Clocked,
) -> None:
    limit = clocked.limit(requests=60)
    assert booked(limit) == 0
    told = [limit.book(1, wait_s_max=0.5) for _ in range(50)]
    assert all(isinstance(found, Later) for found in told)
    waits = [found.wait_s for found in told]
    assert waits == sorted(set(waits))
    assert booked(limit) == pytest.approx((MINUTE_MS + SLACK_MS) / 60_000, abs=0.01)
    found = clocked.limit(requests=1).book(1, wait_s_max=0)
    for _ in range(20):
        found = clocked.limit(requests=1).book(1, wait_s_max=0)
    assert isinstance(found, Later)
    assert found.wait_s == AGAIN_MS_MAX / 1000


def test_models_and_endpoints_have_limits_of_their_own_and_all_keys_end(client: Client) -> None:
    for endpoint, model in [("a/v1", "m"), ("a/v1", "n"), ("127.0.0.1:1/v1", "m")]:
        limit = RateLimit(
            client, endpoint=endpoint, model=model, requests_per_minute=1, tokens_per_minute=1
        )
        assert booked(limit) == 0.0
        assert isinstance(limit.book(1, wait_s_max=0), Later)
        limit.pause(5.0)
        limit.learn(Limits(requests_per_minute=7), known=None)
        assert booked(limit) > 0.0
    found = list(client.scan_iter())
    assert len(found) == 15
    assert all(client.pttl(key) > 0 for key in found)


def test_no_limit_is_no_limit(clocked: Clocked) -> None:
    limit = clocked.limit()
    limit.learn(Limits(), known=None)
    assert [booked(limit, 10**9) for _ in range(100)] == [0.0] * 100


# What is learned.


def test_the_study_files_limit_wins_over_the_announced_one(clocked: Clocked) -> None:
    limit = clocked.limit(requests=60)
    limit.learn(Limits(requests_per_minute=6_000, tokens_per_minute=60_000), known=None)
    assert booked(limit) == 0.0
    assert booked(limit) == pytest.approx(1.02, abs=0.01)
    assert booked(limit, 10_000) == pytest.approx(2.05, abs=0.01)
    assert booked(limit) == pytest.approx(12.0, abs=0.2)  # and tokens are as learned


def test_a_changed_limit_is_learned_anew_and_silence_changes_nothing(clocked: Clocked) -> None:
    limit = clocked.limit()
    turn = limit.book(1, wait_s_max=0)
    assert isinstance(turn, Turn)
    assert turn.learned is None
    first = Limits(requests_per_minute=10, tokens_per_minute=1_000)
    limit.learn(first, known=turn.learned)
    assert not limit.stands(turn)
    turn = limit.book(1, wait_s_max=0)
    assert isinstance(turn, Turn)
    assert turn.learned == first
    limit.learn(Limits(), known=turn.learned)
    turn = limit.book(1, wait_s_max=60)
    assert isinstance(turn, Turn)
    assert turn.learned == first
    limit.learn(Limits(requests_per_minute=600), known=first)
    turn = limit.book(1, wait_s_max=60)
    assert isinstance(turn, Turn)
    assert turn.learned == Limits(requests_per_minute=600)


# Pauses.


@pytest.mark.parametrize(
    ("asked_s", "expected_s"), [(0.0, 0.5), (-3.0, 0.5), (30.0, 30.0), (1e9, PAUSE_MS_MAX / 1000)]
)
def test_a_pause_lasts_as_long_as_asked_up_to_a_bound(
    clocked: Clocked, asked_s: float, expected_s: float
) -> None:
    limit = clocked.limit()
    assert limit.pause(asked_s) == expected_s
    assert booked(limit) == expected_s


def test_a_shorter_pause_does_not_end_a_longer_one(clocked: Clocked) -> None:
    limit = clocked.limit(requests=1_000)
    limit.pause(60.0)
    assert limit.pause(1.0) == 60.0
    assert limit.pause(None) == 60.0
    assert limit.pause(90.0) == 90.0
    assert booked(limit) == 90.0


def test_many_429s_at_once_are_one_spell_and_each_further_spell_doubles_the_pause(
    clocked: Clocked,
) -> None:
    limits = [clocked.limit() for _ in range(100)]
    for spell in range(5):
        pauses = {limit.pause(None) for limit in limits}
        assert pauses == {PAUSE_MS * 2**spell / 1000}
        clocked.later(PAUSE_MS * 2**spell)
    for _ in range(20):
        clocked.later(1000 * limits[0].pause(None))
    assert limits[0].pause(None) == PAUSE_MS_MAX / 1000


# Redis's clock is put back, or forward.


@pytest.mark.parametrize("jump_ms", [-DAY_MS, -3_600_000, -2_000, 2_000, DAY_MS])
def test_a_jump_of_the_clock_makes_nobody_wait_longer_than_before(
    jump_ms: float, clocked: Clocked
) -> None:
    limit = clocked.limit(requests=60, tokens=60_000)
    before = [booked(limit, 10) for _ in range(10)]
    clocked.later(jump_ms)
    after = [booked(limit, 10) for _ in range(10)]
    step_s = (MINUTE_MS + SLACK_MS) / 60_000
    assert after[0] == pytest.approx(max(0, before[-1] + step_s - max(0, jump_ms / 1000)), abs=0.01)
    assert after[-1] - after[0] == pytest.approx(9 * step_s, abs=0.11)


def test_a_clock_that_is_put_back_sends_nobody_away_for_longer(clocked: Clocked) -> None:
    limit = clocked.limit(requests=1)
    assert booked(limit) == 0
    before = limit.book(1, wait_s_max=WAIT_S)
    clocked.later(-DAY_MS)
    after = limit.book(1, wait_s_max=WAIT_S)
    assert isinstance(before, Later)
    assert isinstance(after, Later)
    assert after.wait_s <= before.wait_s + (MINUTE_MS + SLACK_MS) / 1000  # asked after it
    clocked.later(1000 * after.wait_s)
    assert isinstance(limit.book(1, wait_s_max=WAIT_S), Turn)


def test_a_pause_goes_on_for_as_long_as_it_would_have_when_the_clock_is_put_back(
    clocked: Clocked,
) -> None:
    limit = clocked.limit(requests=600)
    assert limit.pause(30.0) == 30.0
    clocked.later(-DAY_MS)
    assert booked(limit) == 30.0
    turn = limit.book(1, wait_s_max=60)
    assert isinstance(turn, Turn)
    assert limit.stands(turn)
    clocked.later(-DAY_MS)
    assert limit.pause(1.0) == 30.0
    assert booked(limit) == pytest.approx(30.0, abs=0.3)
    clocked.later(30_000)
    assert booked(limit) <= 0.4
    clocked.later(SPELL_MS)
    assert limit.pause(None) == PAUSE_MS / 1000  # and the spell is forgotten


def test_a_fleet_uses_its_limit_and_never_passes_it_though_the_clock_is_put_back(
    clocked: Clocked,
) -> None:
    """As the provider sees it, whose clock is right."""
    limit, at_ms, true_ms = clocked.limit(requests=120), [], 0.0
    for minute in range(4):
        while true_ms < (minute + 1) * MINUTE_MS:
            wait_ms = 1000 * booked(limit)
            at_ms.append(true_ms + wait_ms)
            clocked.later(wait_ms)
            true_ms += wait_ms
        clocked.later(-3_600_000 * (minute + 1))
    assert most_in_a_minute(at_ms) <= 120
    assert len(at_ms) >= 0.95 * 4 * 120
