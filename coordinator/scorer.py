"""Scorer: a metric that lives in the coordinator's process (a notebook's function), off the loop."""

import ctypes
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any, Final

from study import resampling
from study.connection import Client
from study.errors import InfrastructureError
from study.eval_func import EvalFunc, metric_of
from study.messages import Scored
from study.paid_calls import PaidCalls
from study.secrets import hidden
from study.studies import Studies, StudyRecord

TRACEBACK_CHARACTERS: Final = 2000
HUNG_MAX: Final = 8
"""Threads left to a function that hangs where nothing can end it, before the study stops."""


class Scorer:
    """Scores unscored results in one thread, in the order in which they came.

    The function may read and write what lives in this process, so that it can't be called in another one.
    A call that takes too long is told to end (an exception in its thread, which a loop in Python obeys),
    its example fails, and another thread goes on.

    Args:
        eval_func: the user's.
        client: of the study's Redis.
        record: the study.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        eval_func: EvalFunc,
        *,
        client: Client,
        record: StudyRecord,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._eval_func, self._metric = eval_func, record.spec.metric
        self._paid_calls, self._studies = PaidCalls(client, record.id), Studies(client)
        self._study, self._clock = record.id, clock
        self._waiting: queue.SimpleQueue[Scored | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[Scored] = queue.SimpleQueue()
        self._pending = 0
        self._hung: list[_Hand] = []
        self._hand = _Hand(self._waiting, self._done, self._told, clock)

    def submit(self, result: Scored) -> None:
        """Score a result soon."""
        self._pending += 1
        self._waiting.put(result)

    @property
    def pending(self) -> int:
        """How many are not taken back yet."""
        return self._pending

    def take(self) -> list[Scored]:
        """The results scored since the last call, and one whose scoring takes too long.

        Raises:
            InfrastructureError: calls of the function hang, and can't be ended.
        """
        taken = []
        late = self._hand.give_up(self._metric.timeout_s)
        if late is not None:
            self._done.put(late)
            self._hung = [hand for hand in [*self._hung, self._hand] if hand.alive]
            if len(self._hung) > HUNG_MAX:
                raise InfrastructureError(
                    f"{len(self._hung)} calls of eval_func hang in this process, where nothing can "
                    f"end them. Mend it, then go on with the study. {late.error}"
                )
            self._hand = _Hand(self._waiting, self._done, self._told, self._clock)
        while not self._done.empty():
            taken.append(self._done.get())
        self._pending -= len(taken)
        return taken

    def close(self) -> None:
        """End the thread; what it has not begun is dropped (a resume scores it)."""
        self._hand.leave()

    def _told(self, result: Scored, before_each: Callable[[], None]) -> dict[str, Any]:
        example = self._studies.example(self._study, result.example)
        texts = self._paid_calls.texts(result.arm, result.example)

        def judge(responses: Sequence[str]) -> float:
            before_each()
            return metric_of(self._eval_func(list(responses), **example), self._metric.name)

        found = resampling.resample(judge, list(texts.values()), mode=self._metric.mode, seed=0)
        return found.told(texts, first_draw=result.first_draw, draws=result.draws)


class _Left(BaseException):
    """Nobody waits for this call of the user's function any more; no `except Exception` may catch it."""


class _Hand:
    """One thread that scores, until it hangs.

    A daemon: a function that hangs must not keep the process from ending.
    """

    def __init__(
        self,
        waiting: "queue.SimpleQueue[Scored | None]",
        done: "queue.SimpleQueue[Scored]",
        told: Callable[[Scored, Callable[[], None]], dict[str, Any]],
        clock: Callable[[], float],
    ) -> None:
        self._waiting, self._done, self._told, self._clock = waiting, done, told, clock
        self._lock = threading.Lock()
        self._at: tuple[Scored, float] | None = None
        self._is_left = False
        self._thread = threading.Thread(target=self._run, name="scorer", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def give_up(self, timeout_s: float) -> Scored | None:
        """Leave the thread alone if its call takes too long; what is to be said of its example."""
        with self._lock:
            if self._at is None or self._clock() - self._at[1] <= timeout_s:
                return None
            result, _ = self._at
            self._is_left, self._at = True, None
        error = (
            f"eval_func did not return within {timeout_s:g} s (metric.timeout_s). It was here:\n"
            + self._where()
        )
        self._interrupt()
        return _failed(result, error)

    def leave(self) -> None:
        """Let the thread end once its call returns."""
        with self._lock:
            self._is_left = True
        self._waiting.put(None)

    def _run(self) -> None:
        try:
            while (result := self._waiting.get()) is not None:
                scored = self._scored(result)
                with self._lock:
                    if self._is_left:
                        return
                    self._at = None
                    self._done.put(scored)
        except _Left:
            return

    def _scored(self, result: Scored) -> Scored:
        try:
            told = self._told(result, lambda: self._calls_for(result))
        except _Left:
            raise
        except BaseException:  # noqa: BLE001 (the user's code may raise anything: it is kept for them)
            return _failed(result, traceback.format_exc())
        return result.model_copy(update={**told, "unscored": False})

    def _calls_for(self, result: Scored) -> None:
        """The function is about to be called for this result, once more."""
        with self._lock:
            if self._is_left:
                raise _Left
            self._at = (result, self._clock())

    def _where(self) -> str:
        """What the thread is at."""
        frame = sys._current_frames().get(self._thread.ident or 0)
        return "".join(traceback.format_stack(frame)) if frame else ""

    def _interrupt(self) -> None:
        """Raise an exception in the thread; it is obeyed where Python's own code runs."""
        ident = ctypes.c_ulong(self._thread.ident or 0)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, ctypes.py_object(_Left))


def _failed(result: Scored, error: str) -> Scored:
    kept = hidden(error)[-TRACEBACK_CHARACTERS:]
    return result.model_copy(update={"curve": None, "unscored": False, "error": kept})
