"""A program that hammers one account from many threads: `hammer.py URL ACCOUNT SEED`."""

import random
import sys
from concurrent.futures import ThreadPoolExecutor

from study.connection import connect
from study.ledger import Ledger, Verdict

THREADS = 32
CALLS = 25


def pay(ledger: Ledger, account: str, seed: str) -> None:
    """Make calls as a worker would: most are settled, some stay open, some are in doubt."""
    chance = random.Random(seed)
    for call in range(CALLS):
        worst_case = chance.randint(1, 100)
        name = f"{seed}/{call}"
        if ledger.reserve(account, name, worst_case) != Verdict.CREATED:
            continue
        end = chance.randrange(10)
        if end < 6:
            ledger.settle(account, name, chance.randint(0, worst_case))
        elif end < 8:
            ledger.release(account, name)
        elif end < 9:
            ledger.settle_in_doubt(account, name)


if __name__ == "__main__":
    url, account, seed = sys.argv[1:]
    ledger = Ledger(connect(url))
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda t: pay(ledger, account, f"{seed}-{t}"), range(THREADS)))
