"""Lesson 2: the ledger moves money in three verbs, and never over the limit."""

import pytest

from study import keys
from study.connection import Client
from study.ledger import Ledger, Verdict


@pytest.fixture
def ledger(client: Client) -> Ledger:
    """A ledger with one account, `mine`, of 100 nanodollars."""
    ledger = Ledger(client)
    ledger.open("mine", limit=100)
    return ledger


def test_before_a_call_its_worst_case_is_reserved(ledger: Ledger) -> None:
    assert ledger.reserve("mine", "call-1", 30) == Verdict.CREATED
    assert ledger.balance("mine").reserved == 30
    assert ledger.balance("mine").available == 70


def test_after_the_call_what_it_cost_is_settled_and_the_rest_is_free_again(ledger: Ledger) -> None:
    ledger.reserve("mine", "call-1", 30)
    assert ledger.settle("mine", "call-1", 12) == Verdict.SETTLED
    assert ledger.balance("mine").spent == 12
    assert ledger.balance("mine").available == 88


def test_a_call_that_was_provably_not_billed_is_released(ledger: Ledger) -> None:
    ledger.reserve("mine", "call-1", 30)
    assert ledger.release("mine", "call-1") == Verdict.RELEASED
    assert ledger.balance("mine").available == 100


def test_a_reservation_that_does_not_fit_is_refused_so_the_call_is_never_made(
    ledger: Ledger,
) -> None:
    ledger.reserve("mine", "call-1", 70)
    assert ledger.reserve("mine", "call-2", 31) == Verdict.EXCEEDS_BUDGET


def test_settling_twice_charges_once(ledger: Ledger) -> None:
    ledger.reserve("mine", "call-1", 30)
    ledger.settle("mine", "call-1", 12)
    assert ledger.settle("mine", "call-1", 12) == Verdict.ALREADY_SETTLED
    assert ledger.balance("mine").spent == 12


def test_when_nobody_knows_what_was_billed_all_that_was_reserved_counts_as_spent(
    ledger: Ledger,
) -> None:
    ledger.reserve("mine", "call-1", 30)
    ledger.settle_in_doubt("mine", "call-1")
    assert ledger.balance("mine").spent == 30
    assert ledger.balance("mine").in_doubt == 30


def test_a_study_spends_from_the_fleets_account_too(ledger: Ledger) -> None:
    ledger.open("fleet", limit=50)
    assert ledger.reserve("mine", "call-1", 30) == Verdict.CREATED
    assert ledger.balance("fleet").reserved == 30
    assert ledger.reserve("mine", "call-2", 30) == Verdict.EXCEEDS_PARENT_BUDGET


def test_the_journal_sums_to_the_balance(ledger: Ledger) -> None:
    ledger.reserve("mine", "call-1", 30)
    ledger.reserve("mine", "call-2", 40)
    ledger.settle("mine", "call-1", 12)
    journal = list(ledger.journal("mine"))
    assert [move.verb for move in journal] == ["reserve", "reserve", "settle"]
    assert sum(move.spent for move in journal) == ledger.balance("mine").spent == 12
    assert sum(move.reserved for move in journal) == ledger.balance("mine").reserved == 40


def test_a_rehearsals_money_is_pretended_and_never_weighs_on_the_fleet(ledger: Ledger) -> None:
    ledger.open("rehearsal/study", limit=100)
    ledger.reserve("rehearsal/study", "call", 60)
    ledger.settle("rehearsal/study", "call", 50)
    assert ledger.balance(keys.FLEET_ACCOUNT).spent == 0
    assert ledger.balance(keys.REHEARSALS_ACCOUNT).spent == 50
