"""Boxes that serve several evaluations: how often, whose, and never after one broke."""

from collections.abc import Sequence
from typing import Self

import pytest

from sandbox import Limits, Outcome, Program, RunResult, SandboxError
from sandbox.reuse import IDLE_S_MAX, ReusedBoxes

PROGRAM = Program(source="x = 1", check="assert x == 1")
BREAKS = Program(source="breaks the box", check="")


class CountingBox:
    """A box that passes everything but one program, and knows whether it was closed."""

    def __init__(self) -> None:
        self.closed = False

    def run(self, programs: Sequence[Program]) -> list[RunResult]:
        if BREAKS in programs:
            raise SandboxError("it broke", "Prepare another.")
        passed = RunResult(outcome=Outcome.passed, exception=None, detail="", duration_s=0.0)
        return [passed for _ in programs]

    def close(self) -> None:
        self.closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


class CountingSandbox:
    """Makes counting boxes and keeps them, in order."""

    def __init__(self) -> None:
        self.boxes: list[CountingBox] = []
        self.closed = False

    def prepare(self, *, study: str, limits: Limits, deadline_s: float) -> CountingBox:
        self.boxes.append(CountingBox())
        return self.boxes[-1]

    def close(self) -> None:
        self.closed = True


class Clock:
    """Seconds that go forward when told to."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def inner() -> CountingSandbox:
    return CountingSandbox()


@pytest.fixture
def reused(inner: CountingSandbox, clock: Clock) -> ReusedBoxes:
    return ReusedBoxes(inner, uses_max=3, clock=clock)


def evaluate(sandbox: ReusedBoxes, *, study: str = "s", program: Program = PROGRAM) -> None:
    with sandbox.prepare(study=study, limits=Limits(), deadline_s=10) as box:
        box.run([program])


def test_a_box_serves_so_many_evaluations_and_is_closed(
    reused: ReusedBoxes, inner: CountingSandbox
) -> None:
    for _ in range(4):
        evaluate(reused)
    assert [box.closed for box in inner.boxes] == [True, False]


def test_two_evaluations_at_once_never_share_a_box(
    reused: ReusedBoxes, inner: CountingSandbox
) -> None:
    with reused.prepare(study="s", limits=Limits(), deadline_s=10):
        evaluate(reused)
    assert len(inner.boxes) == 2


def test_studies_and_limits_do_not_share_boxes(reused: ReusedBoxes, inner: CountingSandbox) -> None:
    evaluate(reused, study="a")
    evaluate(reused, study="b")
    with reused.prepare(study="a", limits=Limits(timeout_s=1.0), deadline_s=10):
        assert len(inner.boxes) == 3


def test_a_box_that_failed_is_never_used_again(reused: ReusedBoxes, inner: CountingSandbox) -> None:
    with pytest.raises(SandboxError):
        evaluate(reused, program=BREAKS)
    evaluate(reused)
    assert [box.closed for box in inner.boxes] == [True, False]


def test_a_box_that_nobody_wanted_for_long_is_closed(
    reused: ReusedBoxes, inner: CountingSandbox, clock: Clock
) -> None:
    evaluate(reused)
    clock.now_s += IDLE_S_MAX + 1
    evaluate(reused)
    assert [box.closed for box in inner.boxes] == [True, False]


def test_a_box_that_would_end_too_soon_is_closed(
    reused: ReusedBoxes, inner: CountingSandbox, clock: Clock
) -> None:
    evaluate(reused)
    with reused.prepare(study="s", limits=Limits(), deadline_s=1000):
        assert [box.closed for box in inner.boxes] == [True, False]


def test_closing_the_sandbox_closes_the_boxes_that_wait(
    reused: ReusedBoxes, inner: CountingSandbox
) -> None:
    evaluate(reused)
    reused.close()
    assert inner.boxes[0].closed
    assert inner.closed


def test_a_lease_that_was_given_back_runs_nothing(reused: ReusedBoxes) -> None:
    lease = reused.prepare(study="s", limits=Limits(), deadline_s=10)
    lease.close()
    with pytest.raises(SandboxError, match="closed"):
        lease.run([PROGRAM])
