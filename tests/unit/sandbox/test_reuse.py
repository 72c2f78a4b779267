"""Boxes that serve several evaluations: how often, whose, and never after one broke."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Self

import pytest

from sandbox import Limits, Outcome, Program, RunResult, SandboxError
from sandbox.reuse import IDLE_S_MAX, LASTS_S, ReusedBoxes

PROGRAM = Program(source="x = 1", check="assert x == 1")
BREAKS = Program(source="breaks the box", check="")


class CountingBox:
    """A box that passes everything but one program, and knows whether it was closed."""

    def __init__(self, sandbox: "CountingSandbox") -> None:
        self.closed, self._sandbox = False, sandbox

    def run(self, programs: Sequence[Program]) -> list[RunResult]:
        if BREAKS in programs:
            raise SandboxError("it broke", "Prepare another.")
        self._sandbox.while_running()
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
        self.while_running: Callable[[], None] = lambda: None

    def prepare(self, *, study: str, limits: Limits, deadline_s: float) -> CountingBox:
        self.boxes.append(CountingBox(self))
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


def evaluate(
    sandbox: ReusedBoxes,
    *,
    study: str = "s",
    limits: Limits | None = None,
    program: Program = PROGRAM,
    deadline_s: float = 10,
) -> None:
    with sandbox.prepare(study=study, limits=limits or Limits(), deadline_s=deadline_s) as box:
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
    both_run = threading.Barrier(2, timeout=10)
    inner.while_running = lambda: both_run.wait() and None
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda _: evaluate(reused), range(2)))
    assert len(inner.boxes) == 2


def test_no_more_boxes_than_allowed_and_the_others_wait(inner: CountingSandbox) -> None:
    reused = ReusedBoxes(inner, uses_max=100, boxes_max=2)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: evaluate(reused), range(40)))
    assert 1 <= len(inner.boxes) <= 2


def test_who_waits_too_long_for_a_box_gets_a_named_error(
    inner: CountingSandbox, clock: Clock
) -> None:
    reused = ReusedBoxes(inner, uses_max=100, boxes_max=1, clock=clock)

    def a_second_one() -> None:
        inner.while_running = lambda: None
        with pytest.raises(SandboxError, match="no box came free"):
            evaluate(reused, deadline_s=0)

    inner.while_running = a_second_one
    evaluate(reused)


def test_studies_and_limits_do_not_share_boxes(reused: ReusedBoxes, inner: CountingSandbox) -> None:
    evaluate(reused, study="a")
    evaluate(reused, study="b")
    evaluate(reused, study="a", limits=Limits(timeout_s=1.0))
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


def test_a_box_past_half_its_life_is_closed(
    reused: ReusedBoxes, inner: CountingSandbox, clock: Clock
) -> None:
    evaluate(reused)
    clock.now_s += LASTS_S / 2 + 1
    evaluate(reused)
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
