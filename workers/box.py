"""Box: the sandbox of one evaluation, begun before it is needed; made anew where it breaks."""

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Final, Self

import structlog

from sandbox import (
    Limits,
    Outcome,
    OutOfMemory,
    Program,
    RunResult,
    Sandbox,
    SandboxBox,
    SandboxError,
)

TRIES_MAX: Final = 3
"""A restarted engine is back after a few seconds."""
TRY_AGAIN_S: Final = 1.0
"""Doubled at each try."""

log = structlog.get_logger()


class Box:
    """Begins to make a sandbox's box when told to, or when programs come. Leaving it removes the box.

    Args:
        sandbox: makes the boxes.
        study: whose they are.
        limits: on each program.
        deadline_s: after which they end by themselves.
        sleep: waits for some seconds.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        *,
        study: str,
        limits: Limits,
        deadline_s: float,
        sleep: Callable[[float], None],
    ) -> None:
        self._sandbox, self._study, self._limits = sandbox, study, limits
        self._deadline_s, self._sleep = deadline_s, sleep
        self._made: SandboxBox | None = None

    def prepare(self) -> None:
        """Begin to make the box; what goes wrong is told by `run`."""
        try:
            self._get()
        except SandboxError as exc:
            log.warning("sandbox_not_prepared", study=self._study, cause=exc.cause)

    def run(self, programs: Sequence[Program]) -> list[RunResult]:
        """Run each program by itself, in order; one that breaks its box does not break the others'.

        Raises:
            SandboxError: if it can't be done, in several boxes.
        """
        try:
            return self._get().run(programs)
        except SandboxError as exc:
            self._give_up(exc)
        self._sleep(TRY_AGAIN_S)
        return [self._run_again(program) for program in programs]

    def _run_again(self, program: Program) -> RunResult:
        """Run a program after a box broke, perhaps by its doing."""
        wait_s = 2 * TRY_AGAIN_S
        for _ in range(TRIES_MAX - 2):
            try:
                return self._get().run([program])[0]
            except SandboxError as exc:
                self._give_up(exc)
            self._sleep(wait_s)
            wait_s *= 2
        try:
            return self._get().run([program])[0]
        except OutOfMemory as exc:  # of a container in which nothing else ran: it is the program's
            self._give_up(exc)
            return RunResult(
                outcome=Outcome.oom_killed, detail="it took all of its container's memory"
            )

    def _give_up(self, exc: SandboxError) -> None:
        log.warning("sandbox_failed", study=self._study, cause=exc.cause)
        self._close()

    def _get(self) -> SandboxBox:
        if self._made is None:
            self._made = self._sandbox.prepare(
                study=self._study, limits=self._limits, deadline_s=self._deadline_s
            )
        return self._made

    def _close(self) -> None:
        made, self._made = self._made, None
        if made is not None:
            made.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()
