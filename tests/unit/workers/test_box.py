"""The box of one evaluation: begun once, made anew where it breaks, never left behind."""

from collections.abc import Sequence
from typing import Any, Self

import pytest

from sandbox import Limits, Outcome, OutOfMemory, Program, RunResult, SandboxError
from workers.box import TRIES_MAX, Box

PROGRAM = Program(source="", check="")
GLUTTON = Program(source="takes its container's memory", check="")


class Breaking:
    """A sandbox whose first boxes break, as those of an engine that is restarted do."""

    def __init__(self, *, broken: int = 0, refuses: int = 0) -> None:
        self.broken, self.refuses = broken, refuses
        self.made = self.open = 0

    def prepare(self, **_: Any) -> "BreakingBox":
        if self.refuses:
            self.refuses -= 1
            raise SandboxError("no engine")
        self.made += 1
        self.open += 1
        return BreakingBox(self)

    def close(self) -> None:
        """Nothing is open but boxes."""


class BreakingBox:
    """Runs programs, unless it is broken."""

    def __init__(self, sandbox: Breaking) -> None:
        self._sandbox = sandbox

    def run(self, programs: Sequence[Program]) -> list[RunResult]:
        if GLUTTON in programs:
            raise OutOfMemory("the container ended")
        if self._sandbox.broken:
            self._sandbox.broken -= 1
            raise SandboxError("the container is gone")
        return [RunResult(outcome=Outcome.passed) for _ in programs]

    def close(self) -> None:
        self._sandbox.open -= 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def box_of(sandbox: Breaking, waits: list[float]) -> Box:
    return Box(sandbox, study="s", limits=Limits(), deadline_s=9, sleep=waits.append)


def test_a_box_that_was_prepared_is_the_one_that_runs() -> None:
    sandbox = Breaking()
    with box_of(sandbox, []) as box:
        box.prepare()
        box.prepare()
        assert sandbox.made == 1
        assert [result.passed for result in box.run([PROGRAM])] == [True]
    assert (sandbox.made, sandbox.open) == (1, 0)


def test_a_box_that_was_not_prepared_is_made_when_it_runs() -> None:
    """Answers that were paid for before need no call to hide it behind."""
    sandbox = Breaking()
    with box_of(sandbox, []) as box:
        assert sandbox.made == 0
        assert box.run([PROGRAM])[0].passed
    assert sandbox.open == 0


@pytest.mark.parametrize("sandbox", [Breaking(broken=2), Breaking(refuses=2)])
def test_a_box_that_breaks_is_made_anew(sandbox: Breaking) -> None:
    waits: list[float] = []
    with box_of(sandbox, waits) as box:
        box.prepare()
        assert box.run([PROGRAM])[0].passed
    assert waits == [1.0, 2.0][: len(waits)]
    assert sandbox.open == 0


def test_a_sandbox_that_stays_broken_is_a_fault_and_no_verdict() -> None:
    sandbox, waits = Breaking(broken=99), list[float]()
    with pytest.raises(SandboxError, match="gone"), box_of(sandbox, waits) as box:
        box.run([PROGRAM])
    assert sandbox.made == TRIES_MAX
    assert len(waits) == TRIES_MAX - 1
    assert sandbox.open == 0


def test_a_program_that_takes_its_container_down_does_not_take_its_siblings_verdicts() -> None:
    sandbox, waits = Breaking(), list[float]()
    with box_of(sandbox, waits) as box:
        results = box.run([PROGRAM, GLUTTON, PROGRAM])
    assert [result.outcome for result in results] == [
        Outcome.passed,
        Outcome.oom_killed,
        Outcome.passed,
    ]
    assert sandbox.open == 0
    assert len(waits) == TRIES_MAX - 1


def test_memory_that_runs_out_once_is_a_fault_and_no_verdict() -> None:
    class Once(Breaking):
        def prepare(self, **which: Any) -> "BreakingBox":
            box = super().prepare(**which)
            if self.made == 1:
                box.run = _out_of_memory  # type: ignore[method-assign]
            return box

    with box_of(Once(), []) as box:
        assert box.run([PROGRAM])[0].passed


def _out_of_memory(_: Sequence[Program]) -> list[RunResult]:
    raise OutOfMemory("the container ended")
