"""What every sandbox promises, whatever it is made of."""

from collections.abc import Sequence
from types import TracebackType
from typing import Protocol, Self

from sandbox.limits import Limits
from sandbox.program import Program, RunResult


class SandboxBox(Protocol):
    """A place for the programs of one example. Leaving it removes it, whatever happened."""

    def run(self, programs: Sequence[Program]) -> list[RunResult]:
        """Runs each program by itself, in order.

        Args:
            programs: what to run; may be called again, for further programs, until closed.

        Returns:
            One result per program, in the same order.

        Raises:
            SandboxError: the sandbox could not do it; no verdict may be drawn from that.
        """
        ...

    def close(self) -> None:
        """Removes the box and all that ran in it. Closing twice is the same as once."""
        ...

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Sandbox(Protocol):
    """Makes boxes. One sandbox serves all threads of a worker."""

    def prepare(self, *, study: str, limits: Limits, deadline_s: float) -> SandboxBox:
        """Begins to make a box, and returns without waiting for it.

        Call it before the API call: the box is ready when the answer comes.

        Args:
            study: whose it is; goes on the container's label.
            limits: on each program.
            deadline_s: seconds from now, after which the box ends by itself and may be reaped.

        Returns:
            The box. What went wrong in making it is raised by its `run`.
        """
        ...

    def close(self) -> None:
        """Closes every box that is still open."""
        ...
