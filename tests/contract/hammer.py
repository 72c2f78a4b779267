"""A program that hammers one account from many threads: `hammer.py URL ACCOUNT SEED GENERATION`.

It may be killed at any moment. Its successor has the same seed and the next generation: it goes
through the same calls, settles in doubt what its predecessor left open, and makes them anew.
"""

import random
import sys
from concurrent.futures import ThreadPoolExecutor

from study.connection import connect
from study.ledger import Ledger, Verdict

THREADS = 16
CALLS = 25


def pay(ledger: Ledger, account: str, seed: str, generation: int) -> None:
    """Make calls as a worker would: most are settled, some stay open, some are in doubt."""
    chance = random.Random(f"{seed}/{generation}")
    for call in range(CALLS):
        if generation:
            ledger.settle_in_doubt(account, f"{seed}/{call}#{generation - 1}")
        worst_case = chance.randint(1, 100)
        name = f"{seed}/{call}#{generation}"
        for _ in range(chance.choice([1, 1, 2])):  # twice, where the first answer was lost
            verdict = ledger.reserve(account, name, worst_case)
        if verdict not in (Verdict.CREATED, Verdict.EXISTS):
            continue
        end = chance.randrange(10)
        if end < 6:
            ledger.settle(account, name, chance.randint(0, worst_case))
        elif end < 8:
            ledger.release(account, name)
        elif end < 9:
            ledger.settle_in_doubt(account, name)


if __name__ == "__main__":
    url, account, seed, generation = sys.argv[1:]
    ledger = Ledger(connect(url))
    with ThreadPoolExecutor(THREADS) as pool:
        list(
            pool.map(lambda t: pay(ledger, account, f"{seed}-{t}", int(generation)), range(THREADS))
        )
