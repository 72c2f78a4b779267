"""LocalWorkers: worker processes of this machine, supervised for as long as a study runs."""

import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from bursar.home import made
from study.errors import InfrastructureError

THREADS_MIN: Final = 4
"""Of one process: each process costs 90 MB, and an evaluation mostly waits."""
RESTARTS_MAX: Final = 5
"""Of all processes together: past that, the cause is not chance."""
POLL_S: Final = 0.25
STOP_TIMEOUT_S: Final = 10.0
"""For a worker to end by itself: what it was still doing is stored, or settled as in doubt."""
LAST_LINES: Final = 8


@dataclass(kw_only=True)
class _Worker:
    name: str
    threads: int
    log: Path
    process: subprocess.Popen[bytes]


class LocalWorkers:
    """Enough worker processes for a number of evaluations in flight, while the context lasts.

    One that dies is started again, a bounded number of times; then `failure` says so and
    `on_failure` is called. Each is in a session of its own, so that Ctrl-C reaches only us.

    Args:
        concurrency: evaluations in flight, over all processes.
        environment: what the workers find in theirs: where Redis is, the key.
        logs: the folder of their logs.
        on_failure: called once, from another thread, where the workers can't be kept alive.
    """

    def __init__(
        self,
        *,
        concurrency: int,
        environment: Mapping[str, str],
        logs: Path,
        on_failure: Callable[[], None],
    ) -> None:
        self._threads = _shares(concurrency)
        self._environment = dict(environment)
        self._logs = logs
        self._on_failure = on_failure
        self._workers: list[_Worker] = []
        self._stopping = threading.Event()
        self._supervisor = threading.Thread(target=self._supervise, name="workers", daemon=True)
        self.restarts = 0
        self.failure: InfrastructureError | None = None

    def __enter__(self) -> Self:
        made(self._logs)
        for number, threads in enumerate(self._threads, start=1):
            name, log = f"local-{number}", self._logs / f"worker-{number}.log"
            process = self._start(name, threads, log, "wb")
            self._workers.append(_Worker(name=name, threads=threads, log=log, process=process))
        self._supervisor.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        """End all of them: those that do not end in time are killed; on Ctrl-C, all at once."""
        try:
            self._stopping.set()
            self._supervisor.join()
            if not any(isinstance(part, KeyboardInterrupt) for part in exc_info):
                self._ask_to_end()
        finally:
            for worker in self._workers:
                _end(worker.process)

    def _ask_to_end(self) -> None:
        for worker in self._workers:
            worker.process.terminate()
        deadline_s = time.monotonic() + STOP_TIMEOUT_S
        for worker in self._workers:
            with suppress(subprocess.TimeoutExpired):
                worker.process.wait(max(0.0, deadline_s - time.monotonic()))

    @property
    def processes(self) -> int:
        """How many there are."""
        return len(self._threads)

    def _start(self, name: str, threads: int, log: Path, mode: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "bursar.tethered"]
        command += ["--concurrency", str(threads), "--hostname", name]
        with log.open(mode) as output:
            return subprocess.Popen(  # noqa: S603 (our own command line)
                command,
                env=self._environment,
                stdin=subprocess.PIPE,  # the tether
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _supervise(self) -> None:
        while not self._stopping.wait(POLL_S):
            for worker in self._workers:
                exit_code = worker.process.poll()
                if exit_code is None:
                    continue
                if self.restarts == RESTARTS_MAX:
                    self._give_up(worker, exit_code)
                    return
                self.restarts += 1
                _end(worker.process)
                worker.process = self._start(worker.name, worker.threads, worker.log, "ab")

    def _give_up(self, worker: _Worker, exit_code: int) -> None:
        lines = worker.log.read_text(errors="replace").splitlines()[-LAST_LINES:]
        self.failure = InfrastructureError(
            f"the local workers do not stay alive: the last one ended with code {exit_code}, and "
            f"said:\n  " + "\n  ".join(lines) + f"\nIts log is {worker.log}; `bursar doctor` "
            "looks for the cause"
        )
        self._on_failure()


def local_environment(url: str, additions: Mapping[str, str]) -> dict[str, str]:
    """The environment of workers that this process starts.

    Args:
        url: of Redis.
        additions: what else they must know, such as the key that seals a rehearsal's answers.

    Returns:
        Our own environment with these; what can be imported here can be imported there.
    """
    paths = [str(Path.cwd()), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "BURSAR_REDIS_URL": url,
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        "PYTHONUNBUFFERED": "1",
        **additions,
    }


def _shares(concurrency: int) -> list[int]:
    """How many threads each process has: about as many processes as there are processors."""
    processors = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    )
    processes = max(1, min(processors or 1, concurrency // THREADS_MIN))
    return [math.ceil((concurrency - i) / processes) for i in range(processes)]


def _end(process: subprocess.Popen[bytes]) -> None:
    """Make sure that a process and all that it started are gone."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdin is not None:
        process.stdin.close()
