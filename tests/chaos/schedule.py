"""Schedule: a whole study, and what breaks at seeded moments of it, from a seed alone."""

import json
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from rehearsal import Latency, RehearsalServer, Synthetic
from study import connection
from study.studies import Studies

from . import left_behind
from .checks import check
from .processes import Process, Redis, Zygote
from .proxy import Proxy

PACE: Final = 0.2
"""Of what production takes for its bounds on silence."""
WORKERS: Final = 2
EXAMPLES: Final = 16
CALLS: Final = 60
"""About so many calls a study makes: mishaps strike within them."""
DEADLINE_S: Final = 900.0
"""What hangs does so for good; on a machine that others use a whole study may take minutes."""
RESUMES_MAX: Final = 20
KINDS: Final = (
    "worker killed", "coordinator killed", "Redis killed", "broker flushed", "worker cut off",
    "worker frozen", "clock of Redis jumps", "clock of a worker jumps", "interrupted",
)  # fmt: skip
CODES: Final = {-9, 4, 130}
"""How a command may end in the middle: killed, infrastructure, interrupted. All can be resumed."""

JUDGE: Final = '''
def eval_func(responses, **example):
    """A judge that needs no sandbox; now and then it raises."""
    if len("".join(responses)) % 97 == 0:
        raise ValueError("a judge's bad day")
    return {"success": float(any("return" in response for response in responses))}
'''
STUDY: Final = """
name = "chaos"
[data]
path = "rows.jsonl"
tune_size = 16
[metric]
name = "success"
evaluator = "{evaluator}"
[budget]
optimization_usd = {limit}
inference_usd = 0.01
trials = 8
[space]
model = ["stand-in"]
prompt = ["{{prompt}}", "Complete:\\n{{prompt}}"]
max_tokens = {{low = 100, high = 300}}
n = {{low = 1, high = 4}}
[endpoint]
base_url = "{base_url}"
timeout_s = 3.0
[limits]
concurrency = 8
[[price]]
model = "stand-in"
input = 0.5
output = 2.0
[run]
seed = {seed}
"""


@dataclass(frozen=True, kw_only=True)
class Mishap:
    """What happens at a moment of a study: at its k-th call, and for how long."""

    kind: str
    at_call: int
    lasts_s: float
    worker: int
    ahead_s: float = 0.0


@dataclass(kw_only=True)
class Outcome:
    """What came of a schedule."""

    seed: int
    struck: Counter[str] = field(default_factory=Counter)
    resumes: int = 0
    seconds: float = 0.0
    counts: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)


def plan(seed: int) -> list[Mishap]:
    """What goes wrong in the schedule of a seed."""
    chance = random.Random(seed)
    kinds = chance.choices(KINDS, k=chance.randint(3, 7))
    mishaps = [
        Mishap(
            kind=kind,
            at_call=chance.randint(2, CALLS),
            lasts_s=chance.choice((0.0, 0.3, 1.0, 3.0)) * chance.uniform(0.5, 1.0),
            worker=chance.randrange(WORKERS),
            ahead_s=chance.choice((-1, 1)) * chance.choice((60.0, 3_600.0, 86_400.0)),
        )
        for kind in kinds
    ]
    return sorted(mishaps, key=lambda mishap: mishap.at_call)


def run(
    seed: int, *, folder: Path, zygote: Zygote, pace: float = PACE, programs: bool = False
) -> Outcome:
    """Run the schedule of a seed, and check what is left.

    Args:
        programs: answers run as programs in containers, instead of being judged by a function.
    """
    with ExitStack() as stack:
        return Run(seed, folder, zygote, pace, stack, programs).to_its_end()


class Run:
    """One schedule on its way."""

    def __init__(
        self,
        seed: int,
        folder: Path,
        zygote: Zygote,
        pace: float,
        stack: ExitStack,
        programs: bool,
    ) -> None:
        self._programs = programs
        self._seed, self._folder, self._zygote, self._pace = seed, folder, zygote, pace
        self._chance = random.Random(seed + 1_000_000)
        rows = _rows()
        self._server = stack.enter_context(
            RehearsalServer(
                problems=rows,
                models={"stand-in": (0.5, 2.0)},
                source=Synthetic(),
                latency=Latency(fixed_s=0.1, jitter=1.0),
                faults=_faults(self._chance),
                seed=seed,
            )
        )
        self._redis = Redis(folder)
        self._redis.start()
        stack.callback(self._redis.kill)
        self._proxies = [stack.enter_context(Proxy(self._redis.port)) for _ in range(WORKERS)]
        self._client = connection.connect(f"redis://127.0.0.1:{self._redis.port}/0")
        stack.callback(self._client.close)
        (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        (folder / "chaos_judge.py").write_text(JUDGE)
        limit = self._chance.choice((0.01, 0.006, 0.006))
        (folder / "study.toml").write_text(
            STUDY.format(
                limit=limit,
                base_url=self._server.base_url,
                seed=seed,
                evaluator="python_tests" if programs else "chaos_judge:eval_func",
            )
        )
        self._pids: list[int] = []
        self._workers = [self._worker(number) for number in range(WORKERS)]
        stack.callback(self._kill_all)
        self._coordinator = self._command("tune", "study.toml")
        self._undo: list[tuple[float, Callable[[], None]]] = []
        self._outcome = Outcome(seed=seed)
        self._ahead_s = 0.0

    def to_its_end(self) -> Outcome:
        """Let the study run, with what goes wrong, until it is complete; then look at what is left."""
        begun_s = time.monotonic()
        waiting = plan(self._seed)
        outcome = self._outcome
        while not self._complete():
            time.sleep(0.01)
            now_s = time.monotonic()
            if now_s - begun_s > DEADLINE_S:
                outcome.failures.append(f"not complete after {DEADLINE_S:.0f} s")
                break
            self._look_at_workers()
            if outcome.failures:
                break
            calls = self._server.books().calls
            while waiting and calls >= waiting[0].at_call:
                self._strike(waiting.pop(0), now_s)
            for due in [one for one in self._undo if one[0] <= now_s]:
                self._undo.remove(due)
                due[1]()
        for _, undo in self._undo:
            undo()
        self._end_workers()
        outcome.seconds = time.monotonic() - begun_s
        if not outcome.failures:
            report = json.loads(self._coordinator.said.splitlines()[-1])
            outcome.counts, outcome.failures = check(
                self._client, self._redis.client(1), self._server.books(), report
            )
            outcome.failures += left_behind.judges(self._folder)
            outcome.failures += left_behind.containers(report["study"], self._pids)
        return outcome

    def _complete(self) -> bool:
        """Whether the command ended well; where it ended otherwise, it is called again."""
        code = self._coordinator.code
        if code is None:
            return False
        if code == 0:
            return True
        complaint = self._coordinator.complained
        if code not in CODES or "Traceback" in complaint:
            self._outcome.failures.append(f"a command ended with {code}: {complaint[-2000:]}")
            return False
        if not self._redis.alive:
            return False
        if self._outcome.resumes == RESUMES_MAX:
            self._outcome.failures.append(f"resumed {RESUMES_MAX} times: {complaint[-2000:]}")
            return False
        self._outcome.resumes += 1
        ids = Studies(self._client).ids()
        self._coordinator = (
            self._command("resume", ids[0]) if ids else self._command("tune", "study.toml")
        )
        return False

    def _strike(self, mishap: Mishap, now_s: float) -> None:
        """Let a mishap happen, and note how it ends."""
        worker, proxy = self._workers[mishap.worker], self._proxies[mishap.worker]
        ends_s = now_s + mishap.lasts_s
        match mishap.kind:
            case "worker killed":
                worker.send(signal.SIGKILL)
                self._undo.append((ends_s, lambda: self._start_again(mishap.worker)))
            case "coordinator killed":
                self._coordinator.send(signal.SIGKILL)
            case "Redis killed":
                if not self._redis.alive:
                    return
                self._redis.kill()
                self._undo.append((ends_s, self._redis.start))
            case "broker flushed":
                if not self._redis.alive:
                    return
                with self._redis.client(1) as broker:
                    broker.flushdb()
            case "worker cut off":
                if mishap.lasts_s < 1.0:
                    proxy.cut()
                else:
                    proxy.freeze()
                self._undo.append((ends_s, proxy.heal))
            case "worker frozen":
                worker.send(signal.SIGSTOP)
                self._undo.append((ends_s, lambda: worker.send(signal.SIGCONT)))
            case "clock of Redis jumps":
                if not self._redis.alive:
                    return
                self._jump(mishap.ahead_s)
            case "clock of a worker jumps":
                worker.set_clock(mishap.ahead_s)
            case "interrupted":
                self._coordinator.send(signal.SIGINT)
        self._outcome.struck[mishap.kind] += 1

    def _jump(self, ahead_s: float) -> None:
        """Let all that Redis measures by its wall clock be as after a jump of that clock."""
        for key in self._client.scan_iter():
            left_ms = self._client.pttl(key)
            if left_ms < 0:
                continue
            if left_ms <= ahead_s * 1000:
                self._client.delete(key)
            else:
                self._client.pexpire(key, int(left_ms - ahead_s * 1000))

    def _worker(self, number: int) -> Process:
        worker = self._zygote.start(
            "worker",
            ["--concurrency", "4", "--hostname", f"w{number}"],
            folder=self._folder,
            name=f"w{number}",
            environment=self._environment(self._proxies[number].port),
            pace=self._pace,
        )
        self._pids.append(worker.pid)
        return worker

    def _command(self, *arguments: str) -> Process:
        return self._zygote.start(
            "bursar",
            [*arguments, "--json"],
            folder=self._folder,
            name="bursar",
            environment=self._environment(self._redis.port),
            pace=self._pace,
        )

    def _environment(self, port: int) -> dict[str, str]:
        return {
            "BURSAR_REDIS_URL": f"redis://127.0.0.1:{port}/0",
            "OPENAI_API_KEY": "a-key-for-tests",
            "COLUMNS": "200",
        }

    def _start_again(self, number: int) -> None:
        if not self._workers[number].alive:
            self._workers[number] = self._worker(number)

    def _look_at_workers(self) -> None:
        """No worker ends by itself, whatever happens to its Redis and its broker."""
        for number, worker in enumerate(self._workers):
            if worker.code not in (None, -9):
                self._outcome.failures.append(
                    f"worker {number} left with {worker.code}: {worker.complained[-2000:]}"
                )

    def _end_workers(self) -> None:
        for number, worker in enumerate(self._workers):
            worker.send(signal.SIGTERM)
            if not worker.wait() and not self._outcome.failures:
                self._outcome.failures.append(
                    f"worker {number} does not end: {worker.complained[-2000:]}"
                )
            elif worker.code not in (0, -9, -15):  # -15: told to end before it had come up
                self._outcome.failures.append(
                    f"worker {number} ended with {worker.code}: {worker.complained[-2000:]}"
                )

    def _kill_all(self) -> None:
        for process in (*self._workers, self._coordinator):
            process.send(signal.SIGKILL)
            process.wait()


def _rows() -> list[dict[str, Any]]:
    return [
        {
            "id": f"plus_{k}",
            "prompt": f"def plus_{k}(x):\n",
            "solution": f"    return x + {k}\n",
            "entry_point": f"plus_{k}",
            "test": f"def check(candidate):\n    assert candidate(1) == {k + 1}\n",
        }
        for k in range(EXAMPLES)
    ]


def _faults(chance: random.Random) -> list[dict[str, Any]]:
    """In every other schedule the endpoint has bad days, too."""
    if chance.random() < 0.5:
        return []
    kinds = ("500", "429", "cut_before", "cut_after", "garbage")
    return [{"kind": kind, "probability": 0.01} for kind in kinds]
