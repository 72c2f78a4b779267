"""Scorer: a metric that lives in the coordinator's process (a notebook's function), off the loop."""

import queue
import traceback
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from study import resampling
from study.connection import Client
from study.messages import Scored
from study.paid_calls import PaidCalls
from study.secrets import hidden
from study.studies import Studies, StudyRecord

EvalFunc = Callable[..., Mapping[str, Any]]
"""eval_func(responses, **example) -> dict of metrics, as in FLAML."""

TRACEBACK_CHARACTERS: Final = 2000


class Scorer:
    """Scores unscored results in one thread, in the order in which they came.

    Args:
        eval_func: the user's.
        client: of the study's Redis.
        record: the study.
    """

    def __init__(self, eval_func: EvalFunc, *, client: Client, record: StudyRecord) -> None:
        self._eval_func, self._metric = eval_func, record.spec.metric.name
        self._paid_calls, self._studies = PaidCalls(client, record.id), Studies(client)
        self._study = record.id
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="scorer")
        self._done: queue.SimpleQueue[Scored] = queue.SimpleQueue()
        self._pending = 0

    def submit(self, result: Scored) -> None:
        """Score a result soon."""
        self._pending += 1
        self._thread.submit(lambda: self._done.put(self._scored(result)))

    @property
    def pending(self) -> int:
        """How many are not taken back yet."""
        return self._pending

    def take(self) -> list[Scored]:
        """The results scored since the last call."""
        taken = []
        while not self._done.empty():
            taken.append(self._done.get())
        self._pending -= len(taken)
        return taken

    def close(self) -> None:
        """End the thread; what it has not begun is dropped (a resume scores it)."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _scored(self, result: Scored) -> Scored:
        try:
            curve, error = self._curve(result), ""
        except Exception:  # noqa: BLE001 (the user's code may raise anything: it is kept for them)
            curve, error = None, hidden(traceback.format_exc())[-TRACEBACK_CHARACTERS:]
        return result.model_copy(update={"curve": curve, "unscored": False, "error": error})

    def _curve(self, result: Scored) -> dict[int, float]:
        example = self._studies.example(self._study, result.example)
        texts = self._paid_calls.texts(result.arm, result.example)

        def judge(responses: Sequence[str]) -> float:
            return metric_of(self._eval_func, self._metric, list(responses), example)

        return resampling.curve(judge, texts, seed=0)


def metric_of(
    eval_func: EvalFunc, metric: str, responses: list[str], example: Mapping[str, Any]
) -> float:
    """Call the user's function and pick the metric.

    Raises:
        ValueError: if it returns no such metric, or one that is not a number.
    """
    found = eval_func(responses, **example)
    if not isinstance(found, Mapping) or metric not in found:
        raise ValueError(
            f"eval_func returned {found!r:.200}, which has no metric {metric!r}. "
            "Return a dict that has it"
        )
    return float(found[metric])
