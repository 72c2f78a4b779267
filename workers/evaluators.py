"""Evaluators: from paid answers to a score, by running them as programs or by asking the user's function."""

import importlib
import math
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from sandbox import Program, RunResult
from sandbox.seal import is_synthetic
from study import evaluators, resampling
from study.paid_calls import PaidCall
from workers.failures import redacted
from workers.programs import Api, assemble, task_of
from workers.sameness import shape

EvalFunc = Callable[..., Mapping[str, Any]]
"""eval_func(responses, **example) -> dict of metrics, as in FLAML."""
ERROR_CHARACTERS_MAX: Final = 2000


class UnusableEvaluator(Exception):
    """metric.evaluator = {evaluator} can't be used on this worker: {problem}."""

    def __init__(self, evaluator: str, problem: str) -> None:
        super().__init__(
            f"metric.evaluator = {evaluator!r} can't be used on the workers: {problem}. Install "
            "its package where the workers run, or start them in its folder"
        )


def runs_programs(evaluator: str) -> bool:
    """Whether an evaluator needs the sandbox."""
    return evaluators.counts(evaluator)


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


def passes(
    calls: Sequence[PaidCall],
    example: Mapping[str, Any],
    *,
    api: Api,
    run: Callable[[Sequence[Program]], Sequence[RunResult]],
    seal_key: bytes,
) -> list[bool]:
    """Run each answer as a program; answers that are the same program (see `sameness`), once.

    Args:
        calls: what was bought.
        example: in one of the forms that `task_of` reads.
        api: how the answers were asked for.
        run: the sandbox's.
        seal_key: shows which answers are a rehearsal's own; empty where there is no rehearsal.

    Returns:
        Whether each passes, in the order of the draws.

    Raises:
        SandboxError: if they could not be run.
    """
    task = task_of(example)
    programs = [
        task.program(assemble(task.prompt, completion.text, task.entry_point, api), trusted=trusted)
        for call in calls
        for trusted in [is_sealed(call, seal_key)]
        for completion in call.completions
    ]
    shapes = [shape(program) for program in programs]
    first = dict(zip(reversed(shapes), reversed(programs), strict=True))  # of each shape
    different = dict.fromkeys(shapes)  # models repeat themselves: once is enough
    results = run([first[kind] for kind in different])
    verdict = dict(zip(different, results, strict=True))
    return [verdict[kind].passed for kind in shapes]


def is_sealed(call: PaidCall, seal_key: bytes) -> bool:
    """Whether a call's answers came, unchanged, from our own rehearsal's synthetic model."""
    texts = [completion.text for completion in call.completions]
    return is_synthetic(seal_key, texts, call.fingerprint)


def curve(
    eval_func: EvalFunc, metric: str, texts: Sequence[str], example: Mapping[str, Any], *, seed: int
) -> dict[int, float]:
    """The metric of n answers, for each n of the pooled ones.

    Args:
        eval_func: the user's.
        metric: which of the values that it returns.
        texts: all answers paid for, in the order of their draws.
        example: the row.
        seed: of the choice of subsets.

    Raises:
        Exception: whatever the user's function raises.
        ValueError: if it returns no such metric, or one that is not a number.
    """

    def judge(responses: Sequence[str]) -> float:
        return _metric(eval_func(list(responses), **example), metric)

    return resampling.curve(judge, texts, seed=seed)


def told(exc: Exception) -> str:
    """The last lines of a user's traceback, for the user."""
    lines = "".join(traceback.format_exception(exc))
    return redacted(lines)[-ERROR_CHARACTERS_MAX:]


def _metric(found: object, metric: str) -> float:
    if not isinstance(found, Mapping) or metric not in found:
        names = ", ".join(map(str, found)) if isinstance(found, Mapping) else repr(found)
        raise ValueError(
            f"eval_func returned no metric {metric!r}, but: {names[:200]}. Mend metric.name, or "
            "return a dict that has it"
        )
    value = float(found[metric])
    if not math.isfinite(value):
        raise ValueError(f"eval_func returned {metric} = {value}, which is not a finite number")
    return value
