"""What a reservation costs: reserve and settle, as a pair, against a bare round trip to the same Redis.

    python bench/ledger.py [--clients 1 32] [--seconds 5]

The Redis is one of its own, as durable as production's (AOF). Each client is a thread with a
connection; the kinds take turns in the same run, a second each, so that a busy machine weighs on all alike.
"""

import argparse
import os
import subprocess
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from study import connection
from study.ledger import Ledger, Verdict

SLICE_S = 1.0
Call = Callable[[int], None]


@contextmanager
def own_redis(folder: Path, fsync: str) -> Any:
    """A Redis on a socket, with an append-only file."""
    socket = folder / "redis.sock"
    command = ["redis-server", "--port", "0", "--unixsocket", str(socket), "--dir", str(folder)]
    command += ["--appendonly", "yes", "--appendfsync", fsync, "--save", ""]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if b"ready to accept" in line.lower():
                break
        threading.Thread(target=process.stdout.read, daemon=True).start()
        yield f"unix://{socket}"
        process.terminate()


def rate(call: Call, clients: int, numbers: "count[int]") -> float:
    """How often a second the clients make a call, all together."""
    ends_s, begun_s = time.monotonic() + SLICE_S, time.monotonic()

    def client(_: int) -> int:
        made = 0
        while time.monotonic() < ends_s:
            call(next(numbers))
            made += 1
        return made

    with ThreadPoolExecutor(clients) as pool:
        made = sum(pool.map(client, range(clients)))
    return made / (time.monotonic() - begun_s)


def kinds(url: str) -> dict[str, Call]:
    """What is measured; each call has a number of its own."""
    client = connection.connect(url)
    ledger = Ledger(client)
    ledger.open("fleet", limit=2**53 - 1)
    ledger.open("bench", limit=2**53 - 1)

    def pair(number: int) -> None:
        assert ledger.reserve("bench", f"call-{number}", 1_000) is Verdict.CREATED
        assert ledger.settle("bench", f"call-{number}", 700) is Verdict.SETTLED

    return {
        "bare round trip (PING)": lambda _: client.ping(),
        "one write (HSET)": lambda number: client.hset("plain", f"call-{number}", 1_000),
        "reserve + settle": pair,
    }


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 32])
    parser.add_argument("--seconds", type=int, default=5)
    options = parser.parse_args()
    table = Table(title=f"{options.seconds} s of each, {os.cpu_count()} cores")
    for name in (
        "AOF",
        "clients",
        "PING/s",
        "HSET/s",
        "pairs/s",
        "scripts/s of PING/s",
        "of HSET/s",
    ):
        table.add_column(name, justify="right")
    for fsync in ("everysec", "always"):
        for clients in options.clients:
            with tempfile.TemporaryDirectory() as folder, own_redis(Path(folder), fsync) as url:
                found: dict[str, list[float]] = defaultdict(list)
                numbers, calls = count(), kinds(url)
                for _ in range(options.seconds):
                    for kind, call in calls.items():
                        found[kind].append(rate(call, clients, numbers))
            ping, hset, pair = (sum(rates) / len(rates) for rates in found.values())
            ratios = [f"{2 * pair / ping:.2f}", f"{2 * pair / hset:.2f}"]
            table.add_row(
                fsync, str(clients), f"{ping:,.0f}", f"{hset:,.0f}", f"{pair:,.0f}", *ratios
            )
    Console(width=160).print(table)


if __name__ == "__main__":
    main()
