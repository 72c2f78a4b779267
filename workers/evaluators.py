"""Evaluators: from paid answers to a score, by running them as programs; a user's function is in `judges`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from sandbox import Program, RunResult
from sandbox.seal import is_synthetic
from study import evaluators
from study.paid_calls import PaidCall
from workers.failures import redacted
from workers.programs import Api, assemble, task_of
from workers.sameness import shape

ERROR_CHARACTERS_MAX: Final = 2000


def runs_programs(evaluator: str) -> bool:
    """Whether an evaluator needs the sandbox."""
    return evaluators.counts(evaluator)


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


def told(error: str) -> str:
    """The last lines of what a user's function left behind, for the user."""
    return redacted(error)[-ERROR_CHARACTERS_MAX:]
