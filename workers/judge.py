"""A judge: a process that calls a user's function, so that one that hangs or dies takes nothing along.

`judges` starts it as `python -m workers.judge FD`, and talks to it in JSON over that socket. It imports
nothing that takes long, and ends, with all that it started, when the other end is gone.
"""

import importlib
import json
import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from multiprocessing.connection import Connection
from typing import Any, Final, Literal

from study import resampling
from study.eval_func import EvalFunc, metric_of
from study.resampling import Resampled

TRACEBACK_CHARACTERS_MAX: Final = 20_000


class UnusableEvaluator(Exception):
    """metric.evaluator = {evaluator} can't be used on this worker: {problem}."""

    def __init__(self, evaluator: str, problem: str) -> None:
        super().__init__(
            f"metric.evaluator = {evaluator!r} can't be used on the workers: {problem}. Install "
            "its package where the workers run, or start them in its folder"
        )
        self.problem = problem


def load(reference: str) -> EvalFunc:
    """Import a user's function.

    Args:
        reference: `package.module:function`.

    Raises:
        UnusableEvaluator: if there is no such function here.
    """
    module, _, name = reference.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except Exception as exc:  # a user's module may raise anything as it is imported
        raise UnusableEvaluator(reference, f"{type(exc).__name__}: {exc}") from exc
    if not callable(found):
        raise UnusableEvaluator(reference, f"{name} is not a function")
    function: EvalFunc = found
    return function


def resample(
    eval_func: EvalFunc,
    metric: str,
    texts: Sequence[str],
    example: Mapping[str, Any],
    *,
    mode: Literal["max", "min"],
    seed: int,
    before_each: Callable[[], None],
) -> Resampled:
    """What the pooled answers are worth, together and each by itself.

    Args:
        eval_func: the user's.
        metric: which of the values that it returns.
        texts: all answers paid for, in the order of their draws.
        example: the row.
        mode: whether the metric should be large or small.
        seed: of the choice of subsets.
        before_each: called before each call of the function.

    Raises:
        Exception: whatever the user's function raises.
        ValueError: if it returns no such metric, or one that is not a number.
    """

    def judge(responses: Sequence[str]) -> float:
        before_each()
        return metric_of(eval_func(list(responses), **example), metric)

    return resampling.resample(judge, texts, mode=mode, seed=seed)


def main() -> None:
    """Answer one order after the other, until nobody is there to give any."""
    connection = Connection(int(sys.argv[1]))
    orders: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(connection, orders), daemon=True).start()
    begin = json.loads(orders.get())
    sys.path[:] = begin["path"]
    eval_func: EvalFunc | None = None
    try:
        eval_func = load(begin["evaluator"])
        told: dict[str, Any] = {"loaded": True}
    except UnusableEvaluator as exc:
        told = {"problem": exc.problem}
    except BaseException as exc:  # noqa: BLE001 (a user's module may even end the process)
        told = {"problem": f"{type(exc).__name__}: {exc}"}
    _send(connection, told)
    while eval_func is not None:
        _send(connection, _judged(eval_func, json.loads(orders.get()), connection))


def _judged(eval_func: EvalFunc, order: dict[str, Any], connection: Connection) -> dict[str, Any]:
    try:
        found = resample(eval_func, **order, before_each=lambda: _send(connection, {"begun": True}))
    except BaseException as exc:  # noqa: BLE001 (the user's code may raise anything: it is kept for them)
        told = "".join(traceback.format_exception(exc))
        return {"error": told[-TRACEBACK_CHARACTERS_MAX:]}
    return {"resampled": asdict(found)}


def _listen(connection: Connection, orders: "queue.SimpleQueue[bytes]") -> None:
    """Take orders in; whatever the function is at, all of this ends with the worker."""
    try:
        while True:
            orders.put(connection.recv_bytes())
    except (EOFError, OSError):
        os.killpg(0, signal.SIGKILL)


def _send(connection: Connection, told: dict[str, Any]) -> None:
    connection.send_bytes(json.dumps(told).encode())


if __name__ == "__main__":
    main()
