"""Evaluators: from paid answers to a score, by running them as programs; a user's function is in `judges`."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sandbox import Program, RunResult
from sandbox.seal import is_synthetic
from study import evaluators
from study.config import Arm
from study.cuts import Answer, Cutter
from study.messages import ScoredCut
from study.paid_calls import PaidCall
from workers.failures import redacted
from workers.programs import Api, assemble, is_python, task_of
from workers.sameness import shape

ERROR_CHARACTERS_MAX: Final = 2000


def runs_programs(evaluator: str) -> bool:
    """Whether an evaluator needs the sandbox."""
    return evaluators.counts(evaluator)


@dataclass(frozen=True, kw_only=True)
class Judged:
    """The verdicts on draws, in their order: in full, and under the cuts that change any of them."""

    passes: list[bool]
    cuts: list[ScoredCut]


@dataclass(frozen=True, kw_only=True)
class _Draw:
    """An answer, what can cut it, and whether it is a rehearsal's own."""

    answer: Answer
    cutter: Cutter
    sealed: bool


def judged(
    calls: Sequence[PaidCall],
    example: Mapping[str, Any],
    *,
    api: Api,
    model: str,
    cut_as: Sequence[Arm],
    run: Callable[[Sequence[Program]], Sequence[RunResult]],
    seal_key: bytes,
) -> Judged:
    """Run each answer as a program, and as the programs that are left of it when it is cut.

    Those that are the same program (see `sameness`) run once.

    Args:
        calls: what was bought.
        example: in one of the forms that `task_of` reads.
        api: how the answers were asked for.
        model: whose they are.
        cut_as: the cuts of the arm that are looked at (see `study.cuts`).
        run: the sandbox's.
        seal_key: shows which answers are a rehearsal's own; empty where there is no rehearsal.

    Raises:
        SandboxError: if they could not be run.
    """
    task = task_of(example)

    def program(text: str, draw: _Draw) -> Program:
        source = assemble(task.prompt, text, task.entry_point, api)
        return task.program(source, trusted=draw.sealed)

    draws = [draw for call in calls for draw in _draws(call, model, seal_key)]
    programs = [program(draw.answer.text, draw) for draw in draws]
    left: dict[Arm, list[Answer]] = {}
    shorter: dict[Arm, list[Program | None]] = {}
    for arm in cut_as:
        less = [draw.cutter.cut(draw.answer, arm) for draw in draws]
        if any(after is not draw.answer for after, draw in zip(less, draws, strict=True)):
            left[arm] = less
            shorter[arm] = [
                whole if after.text == draw.answer.text else _if_python(program(after.text, draw))
                for after, draw, whole in zip(less, draws, programs, strict=True)
            ]
    passes = _run_each_once([*programs, *itertools.chain(*shorter.values())], run)
    return Judged(
        passes=[passes(one) for one in programs],
        cuts=[
            ScoredCut(
                arm=arm.key,
                passes=[passes(one) for one in few],
                output_tokens=sum(answer.tokens for answer in left[arm]),
            )
            for arm, few in shorter.items()
        ],
    )


def _draws(call: PaidCall, model: str, seal_key: bytes) -> list[_Draw]:
    texts = [completion.text for completion in call.completions]
    cutter = Cutter(texts, call.usage.completion_tokens, model=model)
    sealed = is_sealed(call, seal_key)
    return [_Draw(answer=answer, cutter=cutter, sealed=sealed) for answer in cutter.answers]


def _run_each_once(
    programs: Sequence[Program | None],
    run: Callable[[Sequence[Program]], Sequence[RunResult]],
) -> Callable[[Program | None], bool]:
    """Run programs, those that are the same (see `sameness`) once; models repeat themselves."""
    shapes = {id(one): shape(one) for one in programs if one is not None}
    first: dict[Program, Program] = {}
    for one in programs:
        if one is not None:
            first.setdefault(shapes[id(one)], one)
    results = dict(zip(first, run(list(first.values())), strict=True))
    return lambda one: one is not None and results[shapes[id(one)]].passed


def _if_python(program: Program) -> Program | None:
    """A program that was cut, unless it is none any more: most cuts through code end it."""
    return program if is_python(program.source) else None


def is_sealed(call: PaidCall, seal_key: bytes) -> bool:
    """Whether a call's answers came, unchanged, from our own rehearsal's synthetic model."""
    texts = [completion.text for completion in call.completions]
    return is_synthetic(seal_key, texts, call.fingerprint)


def told(error: str) -> str:
    """The last lines of what a user's function left behind, for the user."""
    return redacted(error)[-ERROR_CHARACTERS_MAX:]
