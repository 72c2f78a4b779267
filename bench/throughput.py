"""How many results a second come through Celery, worker, stream and coordinator, against bare Celery.

    python bench/throughput.py [--slots 16] [--evaluations 1000] [--rounds 3] [--kinds KIND ...]

Each kind has worker processes of its own, as many and with as many threads; all use one Redis, as durable
as production's, and take turns. Bare is what Celery does by itself: no-ops with ignored results, Celery's
own settings, as fast as they can be sent. The others are real studies, driven by `run_study` and
evaluated by a function that costs nothing:

    celery          no-ops with bursar's settings: late acknowledgement, one at a time
    + coordinator   the worker's task records a made-up result at once
    + evaluation    all that a worker does, with answers that were paid for before: no call is made
    + call          all of it, with calls to a rehearsal endpoint that answers at once

A round trip is a read of Redis' from a client (a pipeline is one); commands within scripts count as commands.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import redis
from rich.console import Console
from rich.table import Table
from throughput_worker import KINDS, NO_OP, QUEUE, no_ops

from bursar.cluster import Cluster, reach
from bursar.home import Home
from coordinator.data import Examples
from coordinator.start import start_study, start_test
from coordinator.tuning import evaluate_config, worst_case_of_test
from study import connection, keys
from study.config import Arm, Config
from study.ledger import Ledger
from study.paid_calls import CallId, Completion, PaidCall, PaidCalls
from study.prices import Usage
from study.spec import StudySpec
from study.studies import Source, StudyRecord

MODEL: Final = "bench-model"
ARM: Final = Arm(model=MODEL, template=0, params={"max_tokens": 16, "temperature": 0.8})
PROCESSES: Final = 2


class Bench:
    """What all kinds share: one Redis, an endpoint, and worker processes for each kind."""

    def __init__(self, cluster: Cluster, folder: Path, options: argparse.Namespace) -> None:
        self.cluster, self.folder, self.options = cluster, folder, options
        self.processes: dict[str, list[subprocess.Popen[bytes]]] = {}
        self.base_url = ""

    def broker_url(self, kind: str) -> str:
        """Each kind's messages have a database of their own."""
        return f"{self.cluster.url.rpartition('/')[0]}/{2 + KINDS.index(kind)}"

    @contextmanager
    def running(self) -> Iterator[None]:
        """The endpoint and all workers."""
        with ExitStack() as stack:
            endpoint = stack.enter_context(self._endpoint())
            assert endpoint.stdout is not None
            self.base_url = json.loads(endpoint.stdout.readline())["base_url"]
            for kind in self.options.kinds:
                self.processes[kind] = [
                    stack.enter_context(self._worker(kind)) for _ in range(PROCESSES)
                ]
            self.processes.get("+ call", []).append(endpoint)
            yield

    @contextmanager
    def _endpoint(self) -> Iterator[subprocess.Popen[bytes]]:
        problems = self.folder / "problems.jsonl"
        row = {"id": "p", "prompt": "", "solution": "    return 1", "entry_point": "f"}
        with problems.open("w") as file:
            for i in range(self.options.evaluations):
                file.write(json.dumps({**row, "id": f"p{i}", "prompt": prompt(i)}) + "\n")
        command = [sys.executable, "-m", "rehearsal", "--problems", str(problems)]
        command += ["--prices", json.dumps({MODEL: [0.1, 0.4]})]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            yield process
            process.terminate()

    @contextmanager
    def _worker(self, kind: str) -> Iterator[subprocess.Popen[bytes]]:
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), str(Path.cwd())]),
            "BURSAR_REDIS_URL": self.cluster.url,
            "BURSAR_BROKER_URL": self.broker_url(kind),
            "OPENAI_API_KEY": "rehearsal",
        }
        program = str(Path(__file__).parent / "throughput_worker.py")
        command = [sys.executable, program, kind, str(self.options.slots // PROCESSES)]
        with (self.folder / f"worker-{KINDS.index(kind)}.log").open("ab") as log:
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def runner(self, kind: str, count: int) -> Callable[[], None]:
        """Get a kind ready; what is called then is measured."""
        if kind in ("bare", "celery"):
            return lambda: self._no_ops(kind, count)
        record = self._study(count)
        if kind == "+ evaluation":
            pay_ahead(record, count, self.cluster.client)
        broker_url = self.broker_url(kind)

        def run() -> None:
            plan = evaluate_config(
                record,
                Config(arm=ARM, n=1),
                client=self.cluster.client,
                broker_url=broker_url,
            )
            assert len(plan.results) == count, (len(plan.results), plan.unscored, plan.finished)

        run.account, run.study = record.account, record.id  # type: ignore[attr-defined]
        return run

    def _no_ops(self, kind: str, count: int) -> None:
        app = no_ops(kind, self.broker_url(kind))
        with app.producer_pool.acquire(block=True) as producer:
            for _ in range(count):
                app.send_task(NO_OP, producer=producer)
        client = redis.Redis.from_url(self.broker_url(kind))
        while client.llen(QUEUE) or client.hlen("unacked"):
            time.sleep(0.005)
        app.close()

    def _study(self, count: int) -> StudyRecord:
        spec = StudySpec.parse(
            {
                "name": "bench",
                "data": {"path": "examples/starter.jsonl", "tune_size": 1},
                "metric": {"name": "success", "evaluator": "throughput_worker:costs_nothing"},
                "budget": {"optimization_usd": 1000.0, "inference_usd": 1.0},
                "space": {"model": [MODEL], "prompt": ["{prompt}"], "max_tokens": 16},
                "endpoint": {"base_url": self.base_url},
                "limits": {"concurrency": self.options.slots},
                "price": [{"model": MODEL, "input": 0.1, "output": 0.4}],
            }
        )
        rows = [(f"tune-{i}", {"prompt": prompt(i)}) for i in range(count)]
        client = self.cluster.client
        examples = Examples(tune=tuple(rows[:1]), held_out=())
        parent = start_study(spec, examples, client=client, source=Source.REHEARSAL)
        parent_rows = [(name.replace("tune", "test"), row) for name, row in rows]
        record = start_test(parent, parent_rows, client=client, limit=1)
        limit = worst_case_of_test(record, Config(arm=ARM, n=1), client)
        Ledger(client).open(record.account, limit=None)
        Ledger(client).set_limit(record.account, limit)
        return record


def prompt(i: int) -> str:
    """A problem's text."""
    return f'def f{i}():\n    """Return {i}."""\n'


def pay_ahead(record: StudyRecord, count: int, client: connection.Client) -> None:
    """Keep answers as if they had been bought just before a crash: reserved, not settled yet."""
    ledger, paid_calls = Ledger(client), PaidCalls(client, record.id)
    for i in range(count):
        call = CallId(arm=ARM.key, example=f"test-{i}", first_draw=0, draws=1)
        reservation = f"{record.id}:{call.attempt(1)}"
        ledger.reserve(record.account, reservation, 5_000)
        paid = PaidCall(
            reservation=reservation,
            completions=(Completion(text="    return 1", finish_reason="stop"),),
            usage=Usage(prompt_tokens=5, completion_tokens=5),
            cost_nanodollars=2_500,
            model=MODEL,
            fingerprint="",
            latency_s=0.1,
        )
        paid_calls.store(call, paid, holder="bench")


def cpu_s(processes: list[subprocess.Popen[bytes]]) -> float:
    """CPU seconds that processes have used so far."""
    ticks = 0
    for process in processes:
        stat = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(stat[11]) + int(stat[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def bytes_of(client: connection.Client, study: str, account: str) -> int:
    """What a study takes in Redis, with its entries in the ledger."""
    names = list(client.scan_iter(f"{keys.PREFIX}:{{{study}}}:*", count=1000))
    names += [keys.reservations(account), keys.journal(account)]
    with client.pipeline(transaction=False) as pipeline:
        for name in names:
            pipeline.memory_usage(name, samples=0)
        return sum(found or 0 for found in pipeline.execute())


class Sums:
    """What is summed over the rounds of a kind."""

    def __init__(self) -> None:
        self.count = 0
        self.wall_s = 0.0
        self.cpu_s: Counter[str] = Counter()
        self.round_trips = 0
        self.bytes = 0
        self.commands: Counter[str] = Counter()

    @property
    def rate(self) -> float:
        """Results a second."""
        return self.count / self.wall_s

    @property
    def cpu_ms(self) -> float:
        """CPU time of all processes for a result."""
        return 1000 * sum(self.cpu_s.values()) / self.count


def measure(bench: Bench, kind: str, count: int, sums: Sums) -> None:
    """One turn of a kind."""
    client = bench.cluster.client
    run = bench.runner(kind, count)

    def now() -> tuple[Counter[str], int, Counter[str]]:
        info = client.info("cpu")
        used = Counter(
            ours=time.process_time(),
            workers=cpu_s(bench.processes[kind][:PROCESSES]),
            endpoint=cpu_s(bench.processes[kind][PROCESSES:]),
            redis=info["used_cpu_user"] + info["used_cpu_sys"],
        )
        stats = client.info("commandstats")
        commands = Counter({k.removeprefix("cmdstat_"): v["calls"] for k, v in stats.items()})
        return used, client.info("stats")["total_reads_processed"], commands

    used, reads, commands = now()
    began_s = time.monotonic()
    run()
    sums.wall_s += time.monotonic() - began_s
    sums.count += count
    used_after, reads_after, commands_after = now()
    sums.cpu_s += used_after - used
    sums.round_trips += reads_after - reads
    sums.commands += commands_after - commands
    if hasattr(run, "study"):
        sums.bytes += bytes_of(client, run.study, run.account)


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slots", type=int, default=16)
    parser.add_argument("--evaluations", type=int, default=1000, help="of each kind and round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    options = parser.parse_args()
    os.environ.pop(connection.URL_VARIABLE, None)
    options.kinds = [kind for kind in KINDS if kind in ("bare", "celery", *options.kinds)]
    found = {kind: Sums() for kind in options.kinds}
    with tempfile.TemporaryDirectory() as name, reach(Home(folder=Path(name))) as cluster:
        bench = Bench(cluster, Path(name), options)
        with bench.running():
            for kind in options.kinds:  # until its workers are there
                measure(bench, kind, 10 * options.slots, Sums())
            for _ in range(options.rounds):
                for kind in options.kinds:
                    measure(bench, kind, options.evaluations, found[kind])
    show(found, options)


def show(found: dict[str, Sums], options: argparse.Namespace) -> None:
    """Print what was found."""
    title = (
        f"{options.slots} slots, {options.rounds} x {options.evaluations}, {os.cpu_count()} cores"
    )
    table = Table(title=title)
    columns = ["results/s", "of bare", "of celery", "round trips", "commands"]
    columns += ["CPU ms", "of bare's", "here", "workers", "endpoint", "Redis", "Redis bytes"]
    for column in ("", *columns):
        table.add_column(column, justify="right" if column else "left")
    for kind, sums in found.items():
        per = {who: f"{1000 * used / sums.count:.2f}" for who, used in sums.cpu_s.items()}
        table.add_row(
            kind,
            f"{sums.rate:,.0f}",
            f"{sums.rate / found['bare'].rate:.0%}",
            f"{sums.rate / found['celery'].rate:.0%}",
            f"{sums.round_trips / sums.count:.1f}",
            f"{sum(sums.commands.values()) / sums.count:.1f}",
            f"{sums.cpu_ms:.1f}",
            f"{sums.cpu_ms / found['bare'].cpu_ms:.1f} x",
            *(per.get(who, "") for who in ("ours", "workers", "endpoint", "redis")),
            f"{sums.bytes / sums.count:,.0f}" if sums.bytes else "",
        )
    console = Console(width=160)
    console.print(table)
    console.print(
        "all but the first three columns are of one result; commands of Redis, those in scripts too:"
    )
    for kind, sums in found.items():
        most = [(n, c / sums.count) for n, c in sums.commands.most_common() if c > sums.count / 20]
        console.print(f"  {kind}: " + ", ".join(f"{name} {per:.1f}" for name, per in most))


if __name__ == "__main__":
    main()
