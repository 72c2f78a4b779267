"""The fleet's rate limit, seen from the endpoint: how much of it is used, and whether it is ever passed.

    python bench/rate_limit.py [--slots 500] [--requests 1200] [--tokens 300000] [--seconds 150]

What runs is a worker's own path (`evaluate_example`: Redis, ledger, the openai client), from `--slots`
threads in two processes that have work without end. The endpoint is a process of its own that enforces
the limit in any minute whatever: a call above it gets a 429. A thread that is told to ask again later
takes up other work, as a worker's would; here it waits.
"""

import argparse
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import uuid
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis
from rich.console import Console
from rich.table import Table

from sandbox import ProcessSandbox
from study import connection, keys
from study.assignments import Assignments
from study.config import Arm
from study.ledger import Ledger
from study.messages import EvaluateExample
from study.prices import Price
from study.spec import StudySpec
from study.studies import Source, Studies, StudyStatus
from study.trials import Trial
from workers import llm
from workers.evaluate import evaluate_example
from workers.llm import Endpoint
from workers.site import Site

MODEL = "bench-model"
MINUTE_S = 60.0
PROCESSES = 2
MAX_TOKENS = 400
ROWS = [
    json.loads(line)
    for line in (Path(__file__).parent.parent / "examples/starter.jsonl").read_text().splitlines()
]


@contextmanager
def own_redis(folder: Path) -> Iterator[str]:
    """A Redis that keeps nothing, on a port of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    with subprocess.Popen([*command, "--dir", str(folder)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if b"ready to accept" in line.lower():
                break
        threading.Thread(target=process.stdout.read, daemon=True).start()
        yield f"redis://127.0.0.1:{port}/0"
        process.terminate()


@contextmanager
def endpoint(folder: Path, limits: tuple[int | None, int | None]) -> Iterator[str]:
    """The stand-in: a second for each call, and the limits."""
    problems = folder / "problems.jsonl"
    with problems.open("w") as file:
        for row in ROWS:
            row = {**row, "id": row["task_id"], "solution": row["canonical_solution"]}
            file.write(json.dumps(row) + "\n")
    command = [sys.executable, "-m", "rehearsal", "--problems", str(problems)]
    command += ["--prices", json.dumps({MODEL: [0.1, 0.4]}), "--fixed-latency", "1.0"]
    command += ["--limits", json.dumps({MODEL: limits})]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["base_url"]
        process.terminate()


def new_study(url: str, base_url: str, limits: dict[str, int]) -> str:
    """A study of one arm."""
    client = connection.connect(url)
    spec = StudySpec.parse(
        {
            "name": "bench",
            "data": {"path": "examples/starter.jsonl"},
            "budget": {"optimization_usd": 1000.0, "inference_usd": 1.0},
            "space": {"model": [MODEL], "prompt": ["{prompt}"]},
            "price": [{"model": MODEL, "input": 0.1, "output": 0.4}],
            "limits": limits,
        }
    )
    studies = Studies(client)
    record = studies.create(
        spec,
        pinned={MODEL: Price.from_usd(input=0.1, output=0.4)},
        source=Source.REHEARSAL,
        base_url=base_url,
        scored_by_coordinator=True,
        examples=[(f"tune-{i}", row) for i, row in enumerate(ROWS)],
    )
    studies.save_trial(record.id, Trial(number=0, arm=ARM))
    studies.set_status(record.id, StudyStatus.RUNNING)
    Ledger(client).open(record.account, limit=10**12)
    return record.id


ARM = Arm(model=MODEL, template=0, params={"max_tokens": MAX_TOKENS, "temperature": 0.7})


class Over(BaseException):
    """The measurement ends before a thread's turn."""


def work(url: str, study: str, slots: int, index: int, seconds: float) -> dict[str, float]:
    """One process of slots; returns the longest wait of a thread, and how often one was told later."""
    client = connection.connect(url)
    studies = Studies(client)
    record = studies.load(study)
    opened = Endpoint.open(record.spec.endpoint, base_url=record.base_url, key=llm.REHEARSAL_KEY)
    ends_s = time.monotonic() + seconds
    lock, told = threading.Lock(), {"waited_s": 0.0, "later": 0.0}
    numbers = iter(range(index, 10**9, PROCESSES))

    def sleep(wait_s: float) -> None:
        told["waited_s"] = max(told["waited_s"], wait_s)
        if time.monotonic() + wait_s > ends_s:  # its turn comes after the measurement
            raise Over
        time.sleep(wait_s)

    site = Site(
        redis=client,
        assignments=Assignments(client),
        ledger=Ledger(client),
        endpoint=lambda _: opened,
        sandbox=lambda _: ProcessSandbox(),
        holder=lambda: uuid.uuid4().hex,
        clock=time.monotonic,
        sleep=sleep,
        jitter=random.Random(index),
    )

    def slot() -> None:
        while time.monotonic() < ends_s:
            with lock:
                number = next(numbers)
            message = EvaluateExample(
                study=study,
                trial=0,
                arm=ARM.key,
                example=f"tune-{number % len(ROWS)}",
                first_draw=number // len(ROWS),
                draws=1,
            )
            client.hset(keys.sent(study), message.evaluation, message.model_dump_json())
            while time.monotonic() < ends_s:
                try:
                    words = evaluate_example(message, site)
                except Over:
                    return
                if not words.startswith("unevaluated"):
                    break
                with lock:
                    told["later"] += 1
                [(_, last)] = client.xrevrange(keys.results(study), count=1)
                again_s = json.loads(last["result"]).get("retry_after_s") or 1.0
                time.sleep(max(0.0, min(again_s, ends_s - time.monotonic())))

    threads = [threading.Thread(target=slot) for _ in range(slots)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return told


def get(base_url: str, path: str) -> Any:
    """The endpoint's books."""
    with urllib.request.urlopen(base_url.removesuffix("/v1") + path) as reply:
        return json.load(reply)


def most_in_a_minute(calls: list[dict[str, Any]], unit: str) -> int:
    """The most that any minute saw, in calls or tokens."""
    at_s = [call["arrived_s"] for call in calls]
    units = [1 if unit == "requests" else call["tokens_asked"] for call in calls]
    sums = [0]
    for of_it in units:
        sums.append(sums[-1] + of_it)
    return max(sums[bisect_left(at_s, start + MINUTE_S)] - sums[i] for i, start in enumerate(at_s))


def run(mode: str, options: argparse.Namespace) -> list[str]:
    """One measurement; a row of the table."""
    limits: tuple[int | None, int | None] = (options.requests, None)
    if mode == "tokens, from the study file":
        limits = (None, options.tokens)
    unit = "tokens" if limits[0] is None else "requests"
    limit = limits[0] or limits[1]
    assert limit
    given = {} if mode.endswith("headers") else {f"{unit}_per_minute": limit}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with own_redis(folder) as url, endpoint(folder, limits) as base_url:
            study = new_study(url, base_url, given)
            words = [sys.executable, __file__, "--worker", url, study]
            words += ["--slots", str(options.slots // PROCESSES), "--seconds", str(options.seconds)]
            workers = [
                subprocess.Popen([*words, "--index", str(i)], stdout=subprocess.PIPE, text=True)
                for i in range(PROCESSES)
            ]
            told = [json.loads(worker.communicate()[0].splitlines()[-1]) for worker in workers]
            stats = get(base_url, "/_stats")
            calls = sorted(get(base_url, "/_calls"), key=lambda call: call["arrived_s"])
            commands = redis.Redis.from_url(url).info("stats")["total_commands_processed"]
    first_s = calls[0]["arrived_s"]
    within = [c for c in calls if c["arrived_s"] - first_s < options.seconds - 5]
    used = sum(1 if unit == "requests" else c["tokens_asked"] for c in within)
    per_minute = used * MINUTE_S / (options.seconds - 5)
    return [
        mode,
        f"{limit:,} {unit}",
        f"{len(calls):,}",
        f"{most_in_a_minute(calls, unit):,}",
        f"{per_minute:,.0f} ({per_minute / limit:.1%})",
        str(stats["by_status"].get("429", 0)),
        f"{max(one['waited_s'] for one in told):.1f} s",
        f"{sum(one['later'] for one in told) / len(calls):.2f}",
        f"{commands / len(calls):.0f}",
    ]


MODES = [
    "requests, from the study file",
    "requests, learned from headers",
    "tokens, from the study file",
]


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slots", type=int, default=500)
    parser.add_argument("--requests", type=int, default=1_200)
    parser.add_argument("--tokens", type=int, default=600_000)
    parser.add_argument("--seconds", type=float, default=150)
    parser.add_argument(
        "--modes", type=int, nargs="+", default=[0, 1, 2], help="which of the three"
    )
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--index", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        url, study = options.worker
        print(json.dumps(work(url, study, options.slots, options.index, options.seconds)))
        return
    table = Table(title=f"{options.slots} slots, {options.seconds:.0f} s, {os.cpu_count()} cores")
    for name in ("limit", "a minute", "calls", "most in any minute", "on average", "429s"):
        table.add_column(name)
    for name in ("longest wait of a thread", "told later, per call", "Redis commands per call"):
        table.add_column(name)
    for number in options.modes:
        table.add_row(*run(MODES[number], options))
    Console(width=200).print(table)


if __name__ == "__main__":
    main()
