"""Every outcome of a call and its rule about money: the endpoint's own books against the ledger."""

from collections.abc import Sequence
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from rehearsal import FAULT_KINDS, RehearsalServer
from study import fleet
from study.connection import Client
from study.ledger import Ledger, Verdict
from study.messages import ConfigFailed, Fatal, Scored, Unevaluated
from study.paid_calls import Begun
from study.prices import Usage
from study.prompt_tokens import SLACK_TOKENS
from study.rate_limit import RateLimit
from tests.redis_clock import Clocked
from workers.buying import (
    ATTEMPTS_MAX,
    BACK_OFF_S,
    BUYING_S_MAX,
    IN_DOUBT_ATTEMPTS_MAX,
    LATE_S_MAX,
    RATE_WAIT_S_MAX,
)

from .conftest import Bench, MakeBench


def worst_case(bench: Bench, draws: int = 4) -> int:
    """What a call reserves."""
    from study import templates, worst_case

    rendered = templates.render("{prompt}", bench.studies.example(bench.record.id, "tune-0"))
    return worst_case.cost(
        rendered,
        model=bench.arm.model,
        params=bench.arm.params,
        n=draws,
        price=bench.record.prices[bench.arm.model],
    )


def worst_case_usage(bench: Bench, draws: int = 4) -> Usage:
    """The most tokens of a call whose prompt was never billed."""
    from study import templates, worst_case

    rendered = templates.render("{prompt}", bench.studies.example(bench.record.id, "tune-0"))
    return worst_case.usage(rendered, model=bench.arm.model, params=bench.arm.params, n=draws)


def verbs(bench: Bench) -> list[str]:
    """What moved in the study's account."""
    return [movement.verb for movement in bench.ledger.journal(bench.record.account)]


def faults(server: RehearsalServer, *kinds: str, **details: Any) -> None:
    """Strike the next calls, one after the other."""
    server.set_faults([{"kind": kind, "next": 1, **details} for kind in kinds])


# The table of workers/README.md, row by row: a fault that strikes once, and what becomes of it.

ONCE: list[tuple[str, type, list[str]]] = [
    # the fault, the result, what moved
    ("400", ConfigFailed, ["reserve", "release"]),
    ("404", ConfigFailed, ["reserve", "release"]),
    ("unsupported_value", ConfigFailed, ["reserve", "release"]),
    ("deployment_not_found", ConfigFailed, ["reserve", "release"]),
    ("api_version", Fatal, ["reserve", "release"]),
    ("other_name", Scored, ["reserve", "release", "reserve", "settle"]),
    ("prompt_too_long", ConfigFailed, ["reserve", "settle_in_doubt"]),
    ("401", Fatal, ["reserve", "release"]),
    ("402", Fatal, ["reserve", "release"]),
    ("403", Fatal, ["reserve", "release"]),
    ("insufficient_quota", Fatal, ["reserve", "release"]),
    ("credit_balance_exhausted", Fatal, ["reserve", "release"]),
    ("project_spend_limit_exceeded", Fatal, ["reserve", "release"]),
    ("organization_spend_limit_exceeded", Fatal, ["reserve", "release"]),
    ("429", Scored, ["reserve", "release", "reserve", "settle"]),
    ("500", Scored, ["reserve", "release", "reserve", "settle"]),
    ("503", Scored, ["reserve", "release", "reserve", "settle"]),
    ("408", Scored, ["reserve", "settle_in_doubt", "reserve", "settle"]),
    ("502", Scored, ["reserve", "settle_in_doubt", "reserve", "settle"]),
    ("504", Scored, ["reserve", "settle_in_doubt", "reserve", "settle"]),
    ("cut_before", Scored, ["reserve", "settle_in_doubt", "reserve", "settle"]),
    ("cut_after", Scored, ["reserve", "settle_in_doubt", "reserve", "settle"]),
    ("garbage", Scored, ["reserve", "settle_in_doubt", "reserve", "settle"]),
    ("web_page", Scored, ["reserve", "settle_in_doubt", "reserve", "settle"]),
    ("no_choices", Scored, ["reserve", "settle_in_doubt", "reserve", "settle"]),
    ("empty_choices", Scored, ["reserve", "settle_in_doubt", "reserve", "settle"]),
    ("fewer_choices", Scored, ["reserve", "settle", "reserve", "settle"]),
    ("prompt_filter", Scored, ["reserve", "settle"]),
    ("content_filter", Scored, ["reserve", "settle"]),
    ("snapshot", Scored, ["reserve", "settle"]),
    ("no_usage", Scored, ["reserve", "settle"]),
]


@pytest.mark.parametrize(("kind", "result", "moved"), ONCE)
def test_each_outcome_has_its_rule(
    kind: str, result: type, moved: list[str], make_bench: MakeBench, server: RehearsalServer
) -> None:
    bench = make_bench()
    faults(server, kind)
    bench.evaluate()
    [came] = bench.results
    assert type(came) is result
    assert verbs(bench) == moved
    assert server.books().calls == sum(verb == "reserve" for verb in moved) or kind == "cut_before"
    assert server.books().billed_nanodollars <= bench.spent
    assert bench.reserved == 0
    if isinstance(came, ConfigFailed | Fatal):
        assert came.reason.startswith(("400: ", "401: ", "402: ", "403: ", "404: ", "429: "))


def test_every_fault_of_the_endpoint_has_a_row() -> None:
    assert {kind for kind, _, _ in ONCE} == set(FAULT_KINDS) - {"slow"}  # a timeout, below


REMEMBERED = [*(kind for kind, result, _ in ONCE if result is ConfigFailed), "other_name"]


@pytest.mark.parametrize("kind", [kind for kind, _, _ in ONCE if kind not in REMEMBERED])
def test_nothing_transient_is_remembered(
    kind: str, make_bench: MakeBench, server: RehearsalServer
) -> None:
    """However long it lasts: no result of it says that the configuration is to blame."""
    bench = make_bench()
    server.set_faults([{"kind": kind}])
    for _ in range(3):
        bench.evaluate()
    assert not any(isinstance(result, ConfigFailed) for result in bench.results)
    server.set_faults([])
    let_pauses_end(bench)
    bench.evaluate()
    scored = [result for result in bench.results if isinstance(result, Scored)]
    assert len(scored) == 1
    assert bench.reserved == 0


def test_a_model_that_takes_max_tokens_under_neither_name_is_refused(
    make_bench: MakeBench, server: RehearsalServer
) -> None:
    bench = make_bench()
    server.set_faults([{"kind": "other_name"}])
    bench.evaluate()
    [came] = bench.results
    assert isinstance(came, ConfigFailed)
    assert verbs(bench) == 2 * ["reserve", "release"]


@pytest.mark.parametrize("kind", ["prompt_filter", "content_filter"])
def test_what_a_filter_stopped_is_an_answer_without_a_text(
    kind: str, make_bench: MakeBench, server: RehearsalServer
) -> None:
    bench = make_bench()
    faults(server, kind)
    bench.evaluate(draws=4)
    [result] = bench.results
    assert isinstance(result, Scored)
    assert result.passes == [False] * 4
    [call] = bench.paid_calls.bought(bench.arm.key, "tune-0")
    assert {(one.text, one.finish_reason) for one in call.completions} == {("", "content_filter")}
    billed = server.books().billed_nanodollars
    assert bench.spent == (worst_case(bench) if kind == "prompt_filter" else billed) > 0


def test_a_newer_snapshots_name_is_priced_as_the_model_asked_for(
    make_bench: MakeBench, server: RehearsalServer
) -> None:
    bench = make_bench()
    faults(server, "snapshot")
    bench.evaluate()
    [call] = bench.paid_calls.bought(bench.arm.key, "tune-0")
    assert call.model != bench.arm.model
    assert bench.spent == call.cost_nanodollars == server.books().billed_nanodollars > 0


def test_an_answer_that_is_cut_at_max_tokens_is_scored_like_any_other(
    make_bench: MakeBench, server: RehearsalServer
) -> None:
    bench = make_bench(params={"temperature": 0.7, "max_tokens": 2})
    bench.evaluate()
    [result] = bench.results
    assert isinstance(result, Scored)
    [call] = bench.paid_calls.bought(bench.arm.key, "tune-0")
    assert "length" in {one.finish_reason for one in call.completions}
    assert bench.spent == server.books().billed_nanodollars


# Not billed: released, and tried again.


@pytest.mark.parametrize("kind", ["500", "503"])
def test_a_servers_own_error_is_released_and_tried_again(
    kind: str, make_bench: MakeBench, server: RehearsalServer
) -> None:
    waits: list[float] = []
    bench = make_bench(waits=waits)
    faults(server, kind, kind)
    assert "pass" in bench.evaluate()
    assert verbs(bench) == ["reserve", "release", "reserve", "release", "reserve", "settle"]
    assert bench.spent == server.books().billed_nanodollars
    backed_off = [wait_s for wait_s in waits if wait_s >= BACK_OFF_S]
    assert len(backed_off) == 2
    assert backed_off[1] > backed_off[0] > 0


def test_a_server_that_stays_broken_is_tried_a_bounded_number_of_times(
    make_bench: MakeBench, server: RehearsalServer
) -> None:
    bench = make_bench()
    server.set_faults([{"kind": "500"}])
    bench.evaluate()
    [result] = bench.results
    assert isinstance(result, Unevaluated)
    assert result.reason == "unavailable: 500: The server had an error."
    assert server.books().calls == ATTEMPTS_MAX
    assert bench.spent == bench.reserved == 0
    server.set_faults([])
    assert "pass" in bench.evaluate()  # nothing of it is remembered


def test_a_429_holds_the_whole_fleet_back(
    make_bench: MakeBench, server: RehearsalServer, clocked: Clocked
) -> None:
    bench = make_bench()
    elsewhere = make_bench()
    faults(server, "429", retry_after_s=7)
    slept: list[float] = []

    def sleep(wait_s: float) -> None:
        slept.append(wait_s)
        clocked.later(1000 * wait_s)  # the pause is in Redis's time

    assert "pass" in bench.with_site(sleep=sleep).evaluate()
    assert sum(slept) == pytest.approx(7, abs=0.5)
    assert verbs(bench) == ["reserve", "release", "reserve", "settle"]
    faults(server, "429", retry_after_s=60)
    bench.evaluate(example="tune-1")
    calls = server.books().calls
    elsewhere.evaluate()
    result = elsewhere.results[-1]
    assert isinstance(result, Unevaluated)
    assert result.reason.startswith("rate limited")
    assert server.books().calls == calls
    assert elsewhere.reserved == 0


def test_a_thread_waits_for_the_rate_limit_up_to_a_bound(
    make_bench: MakeBench, server: RehearsalServer, clocked: Clocked
) -> None:
    waits: list[float] = []
    bench = make_bench(waits=waits, limits={"requests_per_minute": 1})
    assert "pass" in bench.evaluate()
    bench.evaluate(example="tune-1")
    assert isinstance(bench.results[-1], Unevaluated)
    assert sum(waits) <= RATE_WAIT_S_MAX
    assert server.books().calls == 1


# Not billed, and final.


def test_a_refused_parameter_fails_the_configuration_in_the_providers_words(
    make_bench: MakeBench, server: RehearsalServer
) -> None:
    bench = make_bench(params={"temperature": 0.5, "no_such_parameter": 1})
    bench.evaluate()
    [result] = bench.results
    assert isinstance(result, ConfigFailed)
    assert "no_such_parameter" in result.reason
    assert verbs(bench) == ["reserve", "release"]
    assert server.books().billed_nanodollars == 0
    assert server.books().calls == 1


def test_an_exhausted_quota_stops_the_study_at_once(
    make_bench: MakeBench, server: RehearsalServer
) -> None:
    bench = make_bench()
    server.set_faults([{"kind": "insufficient_quota"}])
    bench.evaluate()
    [result] = bench.results
    assert isinstance(result, Fatal)
    assert "quota" in result.reason
    assert server.books().calls == 1
    assert bench.spent == bench.reserved == 0


def test_a_refused_key_stops_the_study_and_is_not_shown(
    make_bench: MakeBench, server: RehearsalServer
) -> None:
    from workers.llm import Endpoint

    bench = make_bench()
    key = "sk-canary-000111222333"
    endpoint = Endpoint.open(bench.record.spec.endpoint, base_url=server.base_url, key=key)
    bench.with_site(endpoint=lambda _: endpoint).evaluate()
    endpoint.close()
    [result] = bench.results
    assert isinstance(result, Fatal)
    assert result.reason.startswith("401")
    assert bench.spent == bench.reserved == 0
    assert "canary" not in str(list(everything(bench)))


def everything(bench: Bench) -> Sequence[str]:
    """All that is in Redis."""
    redis, found = bench.site.redis, []
    for key in redis.keys("*"):
        read = {
            "string": redis.get,
            "hash": redis.hgetall,
            "set": redis.smembers,
            "zset": lambda key: redis.zrange(key, 0, -1),
            "stream": redis.xrange,
        }[redis.type(key)]
        found.append(f"{key} {read(key)}")
    return found


# In doubt: paid in full.


@pytest.mark.parametrize("kind", ["cut_before", "cut_after", "garbage", "web_page", "no_choices"])
def test_a_call_that_went_wrong_after_it_was_sent_is_settled_in_full(
    kind: str, make_bench: MakeBench, server: RehearsalServer
) -> None:
    bench = make_bench()
    faults(server, kind)
    assert "pass" in bench.evaluate()
    assert verbs(bench) == ["reserve", "settle_in_doubt", "reserve", "settle"]
    [result] = bench.results
    assert isinstance(result, Scored)
    assert bench.in_doubt == worst_case(bench)
    assert bench.spent == worst_case(bench) + result.paid.cost_nanodollars
    assert server.books().billed_nanodollars <= bench.spent
    assert bench.reserved == 0


def test_what_stays_in_doubt_is_not_paid_for_without_end(
    make_bench: MakeBench, server: RehearsalServer
) -> None:
    bench = make_bench()
    server.set_faults([{"kind": "cut_after"}])
    bench.evaluate()
    [result] = bench.results
    assert isinstance(result, Unevaluated)
    assert result.reason.startswith("in doubt")
    assert server.books().calls == IN_DOUBT_ATTEMPTS_MAX
    assert bench.spent == bench.in_doubt == IN_DOUBT_ATTEMPTS_MAX * worst_case(bench)
    assert server.books().billed_nanodollars <= bench.spent


def test_a_timeout_is_in_doubt(make_bench: MakeBench, server: RehearsalServer) -> None:
    bench = make_bench(endpoint={"timeout_s": 0.2})
    faults(server, "slow", delay_s=1.0)
    assert "pass" in bench.evaluate()
    assert bench.in_doubt == worst_case(bench)
    assert server.books().billed_nanodollars <= bench.spent


def test_the_limit_holds_whatever_goes_wrong(
    make_bench: MakeBench, server: RehearsalServer
) -> None:
    bench = make_bench()
    limit = 3 * worst_case(bench)
    bench.ledger.set_limit(bench.record.account, limit)
    kinds = ["cut_after", "429", "500", "garbage", "slow"]
    server.set_faults([{"kind": kind, "probability": 0.3} for kind in kinds])
    for example in range(12):
        bench.evaluate(example=f"tune-{example}")
        assert bench.spent + bench.reserved <= limit
    assert server.books().billed_nanodollars <= bench.spent <= limit
    assert bench.reserved == 0


# Fewer answers than asked for.


def test_a_server_that_ignores_n_is_asked_for_the_rest(
    make_bench: MakeBench, server: RehearsalServer
) -> None:
    bench = make_bench()
    faults(server, "fewer_choices")
    bench.evaluate(draws=4)
    [result] = bench.results
    assert isinstance(result, Scored)
    assert result.passes is not None
    assert len(result.passes) == 4
    assert result.paid.calls == server.books().calls == 2
    assert bench.spent == server.books().billed_nanodollars
    spans = [
        call.reservation.partition("/")[2]
        for call in bench.paid_calls.bought(bench.arm.key, "tune-0")
    ]
    assert spans == ["tune-0/0+4#1", "tune-0/3+1#1"]


def test_the_rest_is_bought_after_a_crash_in_between(
    make_bench: MakeBench, server: RehearsalServer
) -> None:
    bench = make_bench()
    faults(server, "fewer_choices", *["500"] * ATTEMPTS_MAX)
    bench.evaluate(draws=4)
    assert isinstance(bench.results[-1], Unevaluated)
    bench.evaluate(draws=4)
    result = bench.results[-1]
    assert isinstance(result, Scored)
    assert result.paid.calls == 2
    assert bench.spent == server.books().billed_nanodollars


# Crashes: each step's successor heals it.


class Killed(BaseException):
    """The process ends here, as by kill -9: nothing catches it."""


class Broken(Ledger):
    """A ledger whose Redis dies at a verb, once; or the process that asks it."""

    def __init__(self, bench: Bench, verb: str, failure: BaseException | None = None) -> None:
        super().__init__(bench.site.redis)
        self._dies_at = verb
        self._failure = failure or RedisConnectionError("killed")

    def _maybe_die(self, verb: str) -> None:
        if self._dies_at == verb:
            self._dies_at = ""
            raise self._failure

    def reserve(self, account: str, reservation: str, amount: int) -> Verdict:
        self._maybe_die("before reserve")
        verdict = super().reserve(account, reservation, amount)
        self._maybe_die("after reserve")
        return verdict

    def queue_settle(self, pipe: Client, account: str, reservation: str, cost: int) -> None:
        if self._dies_at == "settle":
            pipe.execute()  # so far Redis had come
        self._maybe_die("settle")
        super().queue_settle(pipe, account, reservation, cost)


def test_a_crash_between_store_and_settle_is_healed_by_the_next_to_come(
    make_bench: MakeBench, server: RehearsalServer
) -> None:
    bench = make_bench()
    with pytest.raises(Killed):
        bench.with_site(ledger=Broken(bench, "settle", Killed())).evaluate()
    assert bench.reserved == worst_case(bench)
    assert bench.results == []
    assert "pass" in bench.evaluate()
    assert server.books().calls == 1
    assert bench.spent == server.books().billed_nanodollars
    assert bench.reserved == bench.in_doubt == 0


def test_an_answer_that_was_paid_for_waits_for_a_redis_that_is_away(
    make_bench: MakeBench, server: RehearsalServer
) -> None:
    bench = make_bench()
    assert "pass" in bench.with_site(ledger=Broken(bench, "settle")).evaluate()
    assert server.books().calls == 1
    assert bench.spent == server.books().billed_nanodollars
    assert bench.reserved == bench.in_doubt == 0


def test_a_dead_workers_claim_is_taken_over_and_a_living_ones_is_not(
    make_bench: MakeBench, server: RehearsalServer
) -> None:
    bench = make_bench()
    with pytest.raises(Killed):
        bench.with_site(
            ledger=Broken(bench, "after reserve", Killed()), holder=lambda: "life/1"
        ).evaluate()
    asked: list[str] = []

    def died(holder: str) -> bool:
        asked.append(holder)
        return len(asked) > 1

    later = bench.with_site(has_died=died)
    assert later.evaluate() == "busy elsewhere"
    assert server.books().calls == 0
    assert "pass" in later.evaluate()
    assert asked == ["life/1", "life/1"]
    assert bench.in_doubt == worst_case(bench)
    assert bench.reserved == 0


def test_a_slow_worker_whose_claim_is_gone_is_locked_out_by_its_successor(
    make_bench: MakeBench, server: RehearsalServer
) -> None:
    """The clock of Redis jumps while a worker stands between its claim and its reservation."""
    bench = make_bench()

    class Overtaken(Ledger):
        def reserve(self, account: str, reservation: str, amount: int) -> Verdict:
            let_claims_end(bench)
            assert "pass" in bench.evaluate()
            return super().reserve(account, reservation, amount)

    overtaken = bench.with_site(ledger=Overtaken(bench.site.redis), holder=lambda: "life/1")
    assert overtaken.evaluate() == "busy elsewhere"
    assert server.books().calls == 1
    assert bench.spent == server.books().billed_nanodollars
    assert bench.reserved == bench.in_doubt == 0


def test_a_worker_that_was_held_up_before_its_call_does_not_make_it(
    make_bench: MakeBench, server: RehearsalServer
) -> None:
    """It may have been taken for dead meanwhile: then the call is another's."""
    bench, now_s = make_bench(), [0.0]

    class Slow(Ledger):
        def reserve(self, account: str, reservation: str, amount: int) -> Verdict:
            now_s[0] += fleet.LOOKS_APART_S + 1
            return super().reserve(account, reservation, amount)

    slow = bench.with_site(ledger=Slow(bench.site.redis), clock=lambda: now_s[0])
    assert "held up" in slow.evaluate()
    assert server.books().calls == 0
    assert bench.spent == bench.reserved == 0


def test_a_crash_after_the_reservation_leaves_it_in_doubt(
    make_bench: MakeBench, server: RehearsalServer
) -> None:
    """Nobody can know whether the dead worker made its call."""
    bench = make_bench()
    with pytest.raises(RedisConnectionError):
        bench.with_site(ledger=Broken(bench, "after reserve")).evaluate()
    assert bench.evaluate() == "busy elsewhere"  # the dead worker's claim
    assert server.books().calls == 0
    let_claims_end(bench)
    assert "pass" in bench.evaluate()
    assert bench.in_doubt == worst_case(bench)
    assert bench.reserved == 0


def test_a_crash_before_the_reservation_costs_nothing(
    make_bench: MakeBench, server: RehearsalServer
) -> None:
    bench = make_bench()
    with pytest.raises(RedisConnectionError):
        bench.with_site(ledger=Broken(bench, "before reserve")).evaluate()
    let_claims_end(bench)
    assert "pass" in bench.evaluate()
    assert bench.in_doubt == bench.reserved == 0
    assert bench.spent == server.books().billed_nanodollars


def test_several_dead_predecessors_are_all_healed(make_bench: MakeBench) -> None:
    bench = make_bench()
    for _ in range(3):
        with pytest.raises(RedisConnectionError):
            bench.with_site(ledger=Broken(bench, "after reserve")).evaluate()
        let_claims_end(bench)
    assert "pass" in bench.evaluate()
    assert bench.in_doubt == 3 * worst_case(bench)
    assert bench.reserved == 0


def test_an_unforeseen_error_during_the_call_is_in_doubt_and_raised(
    make_bench: MakeBench,
) -> None:
    class Odd:
        call_s_max = 1.0
        name = "odd"

        def call(self, *_: object, **__: object) -> None:
            raise RuntimeError("nobody foresaw this")

    bench = make_bench()
    with pytest.raises(RuntimeError):
        bench.with_site(endpoint=lambda _: Odd()).evaluate()
    [result] = bench.results
    assert isinstance(result, Unevaluated)
    assert result.reason == "RuntimeError: nobody foresaw this"
    assert bench.in_doubt == bench.spent == worst_case(bench)
    assert "pass" in bench.evaluate()  # its claim was given up


def test_a_call_that_another_worker_makes_is_left_to_it(
    make_bench: MakeBench, server: RehearsalServer
) -> None:
    bench = make_bench()
    begun = bench.paid_calls.begin(bench.message().call, holder="another", claim_ms=60_000)
    assert begun == Begun(number=1)
    assert bench.evaluate() == "busy elsewhere"
    assert bench.results == []
    assert server.books().calls == 0


def test_an_evaluation_does_not_go_on_buying_for_ever(
    make_bench: MakeBench, server: RehearsalServer
) -> None:
    bench = make_bench()
    late = bench.with_site(clock=lambda: server.books().billed_calls * (BUYING_S_MAX + 1))
    faults(server, "fewer_choices")
    late.evaluate(draws=4)
    assert isinstance(bench.results[0], Unevaluated)
    assert "the rest is bought later" in bench.results[0].reason
    assert server.books().calls == 1
    assert "pass" in bench.evaluate(draws=4)
    assert bench.spent == server.books().billed_nanodollars


def test_a_bill_above_its_reservation_is_recorded_as_it_is_and_raises_an_alarm(
    make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from study import worst_case

    nothing = Usage(prompt_tokens=1, completion_tokens=0)
    monkeypatch.setattr(worst_case, "usage", lambda *_, **__: nothing)
    bench = make_bench()
    assert "pass" in bench.evaluate()
    balance = bench.ledger.balance(bench.record.account)
    [reserved] = [
        m.reserved for m in bench.ledger.journal(bench.record.account) if m.verb == "reserve"
    ]
    assert balance.overrun == balance.spent - reserved > 0
    assert "bill_above_reservation" in capsys.readouterr().out


def test_a_prompt_that_was_billed_is_reserved_for_as_it_was(
    make_bench: MakeBench, server: RehearsalServer
) -> None:
    bench = make_bench()
    bench.evaluate(first_draw=0)
    bench.evaluate(first_draw=4)
    first, second = (
        move.reserved
        for move in bench.ledger.journal(bench.record.account)
        if move.verb == "reserve"
    )
    billed = server.books().records[0].prompt_tokens
    most = worst_case_usage(bench)
    price = bench.record.prices[bench.arm.model]
    saved = most.prompt_tokens - billed - SLACK_TOKENS
    assert saved > 0
    assert first == price.cost(most)
    assert first - second == saved * price.input_nanodollars_per_million // 10**6
    assert bench.spent == server.books().billed_nanodollars


def let_pauses_end(bench: Bench) -> None:
    """As time would."""
    for key in bench.site.redis.keys("*:rate:*"):
        bench.site.redis.delete(key)


def let_claims_end(bench: Bench) -> None:
    """As time would."""
    for key in bench.site.redis.keys("*claim*"):
        bench.site.redis.delete(key)


def test_a_turn_that_was_slept_through_is_lost_once(
    make_bench: MakeBench, server: RehearsalServer, clocked: Clocked
) -> None:
    """The turns of a stall do not all call when it ends; a machine that is always late gets on."""
    now_s, naps = [1_000.0], []

    def oversleep(wait_s: float) -> None:
        naps.append(wait_s)
        now_s[0] += wait_s + LATE_S_MAX + 1

    bench = make_bench(limits={"requests_per_minute": 12})
    bench = bench.with_site(clock=lambda: now_s[0], sleep=oversleep)
    limit = RateLimit(
        bench.site.redis,
        endpoint=bench.site.endpoint(bench.record).name,
        model=bench.arm.model,
        requests_per_minute=12,
        tokens_per_minute=None,
    )
    limit.book(1, wait_s_max=0)
    bench.evaluate()
    assert len(naps) == 2
    assert server.books().calls == 1
