"""Two processes of 32 threads each, at one account: the limit holds at every entry of the journal."""

import subprocess
import sys
from itertools import accumulate
from pathlib import Path

from study.connection import Client
from study.ledger import Ledger

HAMMER = Path(__file__).with_name("hammer.py")


def together(url: str, *accounts: str) -> None:
    """Run one hammer for each account named, all at once."""
    running = [
        subprocess.Popen([sys.executable, str(HAMMER), url, account, str(seed)])
        for seed, account in enumerate(accounts)
    ]
    assert [process.wait(120) for process in running] == [0] * len(running)


def highest(ledger: Ledger, account: str) -> int:
    """The most that was ever spent and reserved together, by replaying the journal."""
    moved = [move.reserved + move.spent for move in ledger.journal(account)]
    assert len(moved) > 100, "too little happened to prove anything"
    stood = list(accumulate(moved))
    balance = ledger.balance(account)
    assert stood[-1] == balance.spent + balance.reserved
    assert min(stood) >= 0
    return max(stood)


def test_no_number_of_workers_takes_an_account_over_its_limit(
    server: Client, server_url: str
) -> None:
    ledger = Ledger(server)
    ledger.open("s", limit=5_000)
    together(server_url, "s", "s")
    assert 4_900 < highest(ledger, "s") <= 5_000
    assert ledger.balance("s").overrun == 0


def test_studies_side_by_side_never_take_the_fleet_over_its_limit(
    server: Client, server_url: str
) -> None:
    ledger = Ledger(server)
    ledger.open("fleet", limit=5_000)
    ledger.open("s", limit=4_000)
    ledger.open("t", limit=4_000)
    together(server_url, "s", "t")
    assert 4_900 < highest(ledger, "fleet") <= 5_000
    assert highest(ledger, "s") <= 4_000
    assert highest(ledger, "t") <= 4_000
    spent = ledger.balance("s").spent + ledger.balance("t").spent
    assert ledger.balance("fleet").spent == spent
