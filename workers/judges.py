"""Judges: a worker's processes that call users' functions; one that hangs is ended, its example fails.

A function in a thread of the worker could never be ended: it would hold its slot for ever, and one that
crashes the interpreter would take all evaluations of the worker along.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from typing import Any, Final, Literal

from study.resampling import Resampled
from workers.judge import UnusableEvaluator

IMPORT_S_MAX: Final = 120.0
"""How long a user's module may take to be imported."""
JUDGING_S_MAX: Final = 1_800.0
"""For all calls of one evaluation: it must end before it is taken for stuck and sent to another worker."""
IDLE_MAX: Final = 16
"""Judges kept for the next evaluation; each has its own copy of what the user's module keeps in memory."""
END_S: Final = 10.0
"""How long the kernel may take to end a process that was killed."""


class JudgingFailed(Exception):
    """The user's function gave no score; the text is kept for the user."""


class Judges:
    """The judges of one worker process; threads share them, one evaluation at a time for each."""

    def __init__(self) -> None:
        self._idle: list[_Judge] = []
        self._usable: set[str] = set()
        self._lock = threading.Lock()

    def check(self, evaluator: str) -> None:
        """Make sure that a user's function can be called here.

        Args:
            evaluator: `package.module:function`.

        Raises:
            UnusableEvaluator: if there is no such function here.
        """
        if evaluator not in self._usable:
            with self._judge(evaluator):
                self._usable.add(evaluator)

    def resample(
        self,
        evaluator: str,
        metric: str,
        texts: Sequence[str],
        example: Mapping[str, Any],
        *,
        mode: Literal["max", "min"],
        seed: int,
        timeout_s: float,
    ) -> Resampled:
        """What the pooled answers are worth, together and each by itself; see `judge.resample`.

        Args:
            timeout_s: of each call of the function.

        Raises:
            JudgingFailed: the function raised, hung, or ended its process.
            UnusableEvaluator: if there is no such function here.
        """
        order: dict[str, Any] = {"metric": metric, "texts": list(texts), "example": example}
        order |= {"mode": mode, "seed": seed}
        with self._judge(evaluator) as judge:
            found = judge.judged(order, timeout_s)
        if "error" in found:
            raise JudgingFailed(found["error"])
        resampled: dict[str, Any] = found["resampled"]
        curve = {int(n): float(value) for n, value in resampled["curve"].items()}
        return Resampled(**{**resampled, "curve": curve})

    def close(self) -> None:
        """End those that are idle; the others end with their evaluation, or with this process."""
        with self._lock:
            idle, self._idle = self._idle, []
        for judge in idle:
            judge.end()

    @contextmanager
    def _judge(self, evaluator: str) -> Iterator["_Judge"]:
        """One for this evaluator alone; where anything fails, it is ended."""
        judge = self._taken(evaluator) or _Judge(evaluator)
        try:
            yield judge
        except BaseException:
            judge.end()
            raise
        with self._lock:
            self._idle.append(judge)
            surplus = self._idle.pop(0) if len(self._idle) > IDLE_MAX else None
        if surplus is not None:
            surplus.end()

    def _taken(self, evaluator: str) -> "_Judge | None":
        with self._lock:
            for judge in reversed(self._idle):  # the last one used: the others may never be needed
                if judge.evaluator == evaluator:
                    self._idle.remove(judge)
                    return judge if judge.alive else None
        return None


class _Judge:
    """One process, in a group of its own, with the user's function imported."""

    def __init__(self, evaluator: str) -> None:
        self.evaluator = evaluator
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 (our own command line)
                [sys.executable, "-m", "workers.judge", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=2,  # what it prints belongs into the worker's log
                start_new_session=True,
            )
        self._connection = Connection(ours.detach())
        try:
            self._send({"path": sys.path, "evaluator": evaluator})
            told = self._receive(IMPORT_S_MAX)
        except TimeoutError as exc:
            self.end()
            problem = f"importing it takes more than {IMPORT_S_MAX:.0f} s"
            raise UnusableEvaluator(evaluator, problem) from exc
        except (EOFError, OSError) as exc:
            raise UnusableEvaluator(evaluator, f"importing it {self._how_it_ended()}") from exc
        if "problem" in told:
            self.end()
            raise UnusableEvaluator(evaluator, str(told["problem"]))

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def judged(self, order: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        """What came of one evaluation.

        Raises:
            JudgingFailed: the function hung, or ended its process.
        """
        ends_s = time.monotonic() + JUDGING_S_MAX
        try:
            self._send(order)
            while True:
                told = self._receive(min(timeout_s, ends_s - time.monotonic()))
                if "begun" not in told:
                    return told
        except TimeoutError as exc:
            bound = (
                f"within {timeout_s:g} s (metric.timeout_s)"
                if time.monotonic() < ends_s
                else f"for all that was to be judged within {JUDGING_S_MAX:.0f} s"
            )
            raise JudgingFailed(f"eval_func did not return {bound}, and was ended") from exc
        except (EOFError, OSError) as exc:
            raise JudgingFailed(f"eval_func {self._how_it_ended()}") from exc

    def end(self) -> None:
        """Kill it with all that it started, and wait until it is gone; twice is the same as once."""
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(END_S)
        self._connection.close()

    def _send(self, order: dict[str, Any]) -> None:
        self._connection.send_bytes(json.dumps(order).encode())

    def _receive(self, within_s: float) -> dict[str, Any]:
        if not self._connection.poll(max(0.0, within_s)):
            raise TimeoutError
        told: dict[str, Any] = json.loads(self._connection.recv_bytes())
        return told

    def _how_it_ended(self) -> str:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(END_S)
        self.end()
        code = self._process.returncode
        how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        return f"ended its process ({how})"
