"""64 clients at one account, killed at random moments: the limit holds at every entry of the journal."""

import random
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

from study import keys
from study.connection import Client
from study.ledger import Ledger

HAMMER = Path(__file__).with_name("hammer.py")
DEADLINE_S = 120
WAIT_MS = 30_000
QUIET_MS = 500


def hammer(url: str, account: str, seed: int, generation: int) -> "subprocess.Popen[bytes]":
    """Start a process of sixteen clients."""
    words = [str(HAMMER), url, account, str(seed), str(generation)]
    return subprocess.Popen([sys.executable, *words])


def together(client: Client, url: str, accounts: Sequence[str], *, kills: int, seed: int) -> int:
    """Run a hammer for each account named, all at once; kill some, and start their successors.

    Returns:
        How many were killed at work.
    """
    chance = random.Random(seed)
    running = [hammer(url, account, i, 0) for i, account in enumerate(accounts)]
    generations, killed, last = [0] * len(accounts), 0, "0"
    for _ in range(kills):
        for _ in range(chance.randint(20, 120)):  # so many movements later
            moved = client.xread({keys.journal("fleet"): last}, count=1, block=QUIET_MS)
            if not moved:  # all are done: kill what is left
                break
            [(_, [(last, _)])] = moved
        victim = chance.randrange(len(running))
        if running[victim].poll() is None:
            running[victim].kill()
            killed += 1
        running[victim].wait(DEADLINE_S)
        generations[victim] += 1
        running[victim] = hammer(url, accounts[victim], victim, generations[victim])
    assert [process.wait(DEADLINE_S) for process in running] == [0] * len(running)
    return killed


def highest(ledger: Ledger, account: str) -> int:
    """The most that was ever spent and reserved together, by replaying the journal."""
    moves = list(ledger.journal(account))
    assert len(moves) > 100, "too little happened to prove anything"
    stood = list(accumulate(move.reserved + move.spent for move in moves))
    balance = ledger.balance(account)
    assert stood[-1] == balance.spent + balance.reserved
    assert sum(move.spent for move in moves) == balance.spent
    assert min(stood) >= 0
    ends = Counter(move.reservation for move in moves if move.verb != "reserve")
    begins = Counter(move.reservation for move in moves if move.verb == "reserve")
    assert max(begins.values()) == 1
    assert all(ends[name] <= begins[name] for name in ends)
    return max(stood)


def test_no_number_of_clients_takes_an_account_over_its_limit_whoever_dies(
    server: Client, server_url: str
) -> None:
    ledger = Ledger(server)
    ledger.open("s", limit=15_000)
    killed = together(server, server_url, ["s"] * 4, kills=4, seed=1)
    assert killed > 0
    assert 14_800 < highest(ledger, "s") <= 15_000
    assert ledger.balance("s").overrun == 0
    for reservation in ledger.open_reservations("s"):
        ledger.settle_in_doubt("s", reservation)
    assert ledger.balance("s").reserved == 0
    assert highest(ledger, "s") <= 15_000


def test_studies_side_by_side_never_take_the_fleet_over_its_limit(
    server: Client, server_url: str
) -> None:
    ledger = Ledger(server)
    ledger.open("fleet", limit=15_000)
    ledger.open("s", limit=12_000)
    ledger.open("t", limit=12_000)
    together(server, server_url, ["s", "t", "s", "t"], kills=3, seed=2)
    assert 14_800 < highest(ledger, "fleet") <= 15_000
    assert highest(ledger, "s") <= 12_000
    assert highest(ledger, "t") <= 12_000
    spent = ledger.balance("s").spent + ledger.balance("t").spent
    assert ledger.balance("fleet").spent == spent


def test_a_limit_that_is_lowered_under_load_stops_new_calls_at_once(
    server: Client, server_url: str
) -> None:
    ledger = Ledger(server)
    ledger.open("s", limit=20_000)
    running = [hammer(server_url, "s", seed, 0) for seed in range(4)]
    last = "0"
    while ledger.balance("s").spent < 500:
        moved = server.xread({keys.journal("s"): last}, count=50, block=WAIT_MS)
        assert moved, "the clients make no progress"
        last = moved[0][1][-1][0]
    ledger.set_limit("s", 1)
    reserved_by_then = sum(move.verb == "reserve" for move in ledger.journal("s"))
    assert [process.wait(DEADLINE_S) for process in running] == [0] * len(running)
    assert sum(move.verb == "reserve" for move in ledger.journal("s")) == reserved_by_then
    assert ledger.balance("s").spent + ledger.balance("s").reserved > 1  # nothing is taken back
