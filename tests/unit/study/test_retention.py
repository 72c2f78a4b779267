"""What goes with a study that is forgotten, and what stays: the fleet's books."""

from collections.abc import Callable
from typing import Any

import pytest

from study import fleet, keys
from study.config import Arm
from study.connection import Client
from study.errors import InfrastructureError, SpecError, StudyBusy, UnknownStudy
from study.fleet import Worker
from study.ledger import Ledger, Verdict
from study.messages import ConfigFailed, EvaluateExample
from study.paid_calls import PaidCall, PaidCalls
from study.prices import Price, Usage
from study.prompt_tokens import PromptTokens
from study.results import Results
from study.retention import DAY_S, Retention
from study.spec import StudySpec
from study.studies import Source, Studies, StudyRecord, StudyStatus
from study.trials import Trial

ARMS = [Arm(model="m", template=0, params={"max_tokens": n}) for n in (10, 20)]
EXAMPLES = [f"tune-{i}" for i in range(3)]
CREATED_S = 1_000_000.0
COST = 40

Make = Callable[..., StudyRecord]


@pytest.fixture
def make(client: Client) -> Make:
    """Makes a study with an answer, a result and a movement of money for each arm and example."""

    def make(status: StudyStatus = StudyStatus.COMPLETE, *, results: bool = True) -> StudyRecord:
        studies, ledger = Studies(client), Ledger(client)
        spec = StudySpec.parse(
            {
                "name": "kept",
                "data": {"path": "p"},
                "budget": {"optimization_usd": 1.0, "inference_usd": 0.1},
                "space": {"model": ["m"]},
            }
        )
        record = studies.create(
            spec,
            pinned={"m": Price.from_usd(input=1, output=1)},
            source=Source.MODEL,
            base_url=None,
            scored_by_coordinator=False,
            examples=[(name, {"prompt": "hi"}) for name in EXAMPLES],
            clock=lambda: CREATED_S,
        )
        ledger.open(keys.FLEET_ACCOUNT, limit=10_000)
        ledger.open(record.account, limit=1_000)
        for number, arm in enumerate(ARMS):
            studies.save_trial(record.id, Trial(number=number, arm=arm))
            for example in EXAMPLES:
                buy(client, record, arm, number, example, results=results)
        PromptTokens(client, record.id).learn("p", 3)
        studies.save_eval_func_error(record.id, "e", "Traceback")
        studies.save_report(record.id, {"best": 1})
        studies.set_status(record.id, status)
        return record

    return make


def buy(
    client: Client, record: StudyRecord, arm: Arm, trial: int, example: str, *, results: bool
) -> None:
    whose: dict[str, Any] = {
        "trial": trial, "arm": arm.key, "example": example, "first_draw": 0, "draws": 1,
    }  # fmt: skip
    call = EvaluateExample(study=record.id, **whose).call
    reservation = f"{record.id}:{call.attempt(1)}"
    Ledger(client).reserve(record.account, reservation, 2 * COST)
    calls = PaidCalls(client, record.id)
    calls.begin(call, holder="h", claim_ms=60_000)
    paid = PaidCall(
        reservation=reservation,
        completions=(),
        usage=Usage(prompt_tokens=1, completion_tokens=1),
        cost_nanodollars=COST,
        model="m",
        fingerprint="",
        latency_s=0.1,
    )
    calls.store(call, paid, holder="h")
    Ledger(client).settle(record.account, reservation, COST)
    if results:
        Results(client, record.id).record(ConfigFailed(**whose, reason="r"))


def of(client: Client, record: StudyRecord) -> list[str]:
    return [name for name in client.scan_iter() if record.id in name]


def test_a_forgotten_study_leaves_its_sums_and_nothing_else(client: Client, make: Make) -> None:
    record, other = make(), make()
    before = of(client, other)
    gone = Retention(client).forget(record.id)
    assert gone.spent == COST * 6
    account, journal = keys.account(record.account), keys.journal(record.account)
    assert sorted(of(client, record)) == [account, journal]
    assert Studies(client).ids() == [other.id]
    assert sorted(of(client, other)) == sorted(before)
    with pytest.raises(UnknownStudy):
        Retention(client).forget(record.id)


def test_the_fleets_books_are_as_they_were(client: Client, make: Make) -> None:
    record = make()
    ledger = Ledger(client)
    before = ledger.balance(keys.FLEET_ACCOUNT), list(ledger.journal(keys.FLEET_ACCOUNT))
    own = list(ledger.journal(record.account))
    Retention(client).forget(record.id)
    assert (ledger.balance(keys.FLEET_ACCOUNT), list(ledger.journal(keys.FLEET_ACCOUNT))) == before
    assert own == [m for m in before[1] if m.reservation.startswith(f"{record.id}:")]
    # What is left of its own still sums to its balance.
    [movement] = ledger.journal(record.account)
    assert (movement.verb, movement.spent) == ("close", ledger.balance(record.account).spent)


def test_a_late_worker_can_move_nothing_any_more(client: Client, make: Make) -> None:
    record = make()
    Retention(client).forget(record.id)
    ledger = Ledger(client)
    before = ledger.balance(keys.FLEET_ACCOUNT)
    assert ledger.reserve(record.account, "late", 1) is Verdict.EXCEEDS_BUDGET
    assert ledger.settle(record.account, "late", 1) is Verdict.NOT_FOUND
    assert ledger.settle_in_doubt(record.account, "late") is Verdict.NOT_FOUND
    assert ledger.balance(keys.FLEET_ACCOUNT) == before


@pytest.mark.parametrize("status", [s for s in StudyStatus if s is not StudyStatus.COMPLETE])
def test_one_that_can_be_resumed_goes_only_if_that_is_said(
    status: StudyStatus, client: Client, make: Make
) -> None:
    record = make(status)
    before = sorted(of(client, record))
    with pytest.raises(SpecError, match="can be resumed"):
        Retention(client).forget(record.id)
    assert sorted(of(client, record)) == before
    Studies(client).take_lease(record.id, "whoever resumes")  # at once: no lease is left behind
    Studies(client).end_lease(record.id, "whoever resumes", status)
    Retention(client).forget(record.id, even_if_unfinished=True)
    assert Studies(client).ids() == []


def test_what_is_reserved_is_settled_in_doubt_where_that_is_said(
    client: Client, make: Make
) -> None:
    record, ledger = make(), Ledger(client)
    ledger.reserve(record.account, f"{record.id}:open#1", 100)
    with pytest.raises(SpecError, match="money reserved"):
        Retention(client).forget(record.id)
    assert Retention(client).forget(record.id, even_if_unfinished=True).spent == COST * 6 + 100
    fleet = ledger.balance(keys.FLEET_ACCOUNT)
    assert (fleet.spent, fleet.reserved, fleet.in_doubt) == (COST * 6 + 100, 0, 100)


def test_a_study_that_is_driven_is_not_forgotten(client: Client, make: Make) -> None:
    record = make()
    Studies(client).take_lease(record.id, "a coordinator")
    before = sorted(of(client, record))
    with pytest.raises(StudyBusy):
        Retention(client).forget(record.id, even_if_unfinished=True)
    assert sorted(of(client, record)) == before
    assert Retention(client, clock=lambda: 1e12).ended(days=1) == []


def test_a_study_that_a_worker_is_at_is_not_forgotten(client: Client, make: Make) -> None:
    """It would store its answer after all else was removed."""
    record, other = make(), make()
    for study in (record.id, other.id):
        name = fleet.doing(study, "arm/tune-0/0+1")
        worker = Worker(name="w", host="h", pid=1, slots=1, engine=False, at_hand=(name,))
        fleet.beat(client, worker)
    with pytest.raises(SpecError, match="a worker at it"):
        Retention(client).forget(other.id, even_if_unfinished=True)
    assert Retention(client).forget(record.id).study == record.id
    fleet.leave(client, "w")
    assert Retention(client).forget(other.id).study == other.id


def test_a_removal_that_was_broken_off_is_ended_by_a_repeat(
    client: Client, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = make()
    calls = []

    def unlink(*names: str) -> int:
        calls.append(names)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return int(client.delete(*names))

    monkeypatch.setattr("study.retention.KEYS_AT_ONCE", 2)
    retention = Retention(client)
    with monkeypatch.context() as patch:
        patch.setattr(client, "unlink", unlink)
        with pytest.raises(KeyboardInterrupt):
            retention.forget(record.id)
    client.delete(keys.lease(record.id))  # it ends by itself
    assert retention.forget(record.id).spent == COST * 6
    assert len(of(client, record)) == 2


@pytest.mark.parametrize("results", [True, False])
def test_only_what_has_been_complete_for_long_enough_is_old(
    results: bool, client: Client, make: Make
) -> None:
    record = make(results=results)
    make(StudyStatus.INTERRUPTED)
    last_s = CREATED_S
    if results:
        [(position, _)] = client.xrevrange(keys.results(record.id), count=1)
        last_s = int(position.partition("-")[0]) / 1000
    young = Retention(client, clock=lambda: last_s + 3 * DAY_S - 1)
    assert young.ended(days=3) == []
    old = Retention(client, clock=lambda: last_s + 3 * DAY_S + 1)
    assert old.ended(days=3) == [record.id]


def test_only_entries_of_the_age_asked_for_are_summed_up(client: Client, make: Make) -> None:
    """An entry's id is when it was made: here they are made anew, a day apart."""
    record, ledger = make(), Ledger(client)
    name = keys.journal(keys.FLEET_ACCOUNT)
    entries = [entry for _, entry in client.xrange(name)]
    client.delete(name)
    for day, entry in enumerate(entries, start=1):
        client.xadd(name, entry, id=f"{int(day * DAY_S * 1000)}-0")
    before = ledger.balance(keys.FLEET_ACCOUNT)
    retention = Retention(client, clock=lambda: 10 * DAY_S)
    assert retention.sum_up_books(days=10) == 0
    assert retention.sum_up_books(days=7) == 2  # the third is of that very moment
    assert retention.sum_up_books(days=7) == 0
    moves = list(ledger.journal(keys.FLEET_ACCOUNT))
    assert [move.reservation for move in moves[2:]] == [entry["id"] for entry in entries[2:]]
    assert sum(move.spent for move in moves) == before.spent == COST * 6
    assert sum(move.reserved for move in moves) == before.reserved == 0
    assert ledger.balance(keys.FLEET_ACCOUNT) == before
    assert retention.sum_up_books(days=100) == 0
    assert ledger.balance(record.account).spent == COST * 6


def test_a_journal_is_not_read_while_it_is_summed_up(
    client: Client, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    make()
    ledger = Ledger(client)
    monkeypatch.setattr("study.ledger.JOURNAL_BLOCK", 2)
    reading = ledger.journal(keys.FLEET_ACCOUNT)
    next(reading)
    assert Retention(client).sum_up_books(days=-1) == 12  # in blocks of two
    with pytest.raises(InfrastructureError, match="Read it again"):
        list(reading)
    moves = list(ledger.journal(keys.FLEET_ACCOUNT))
    assert [move.verb for move in moves] == ["brought_forward_in_doubt", "brought_forward"]


def test_a_studys_own_journal_is_never_summed_up(client: Client, make: Make) -> None:
    with pytest.raises(ValueError, match="at the top"):
        Ledger(client).sum_up(make().account, before_ms=1)
