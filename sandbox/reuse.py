"""Reuse: hands a box to several evaluations, one after the other; for hosts that can't start enough.

Off unless asked for. A container for each evaluated example is the stronger wall; but engines start
only a handful a second (about 7 on two cores), and where calls are quick the starts decide how fast
a study is. What stays between two evaluations that share a box is what is between two programs of
one evaluation: another process, uid and folder, everything killed and wiped in between.
"""

import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Final, Self

from sandbox.contract import Sandbox, SandboxBox
from sandbox.errors import SandboxError
from sandbox.limits import Limits
from sandbox.program import Program, RunResult

IDLE_S_MAX: Final = 30.0
"""A box that nobody wanted for so long is closed at the next occasion."""

_Kind = tuple[str, Limits]


class ReusedBoxes:
    """A `Sandbox` whose boxes serve up to `uses_max` evaluations of one study each.

    Args:
        sandbox: makes the boxes.
        uses_max: how many evaluations one box serves.
        clock: seconds, monotonic.
    """

    def __init__(
        self, sandbox: Sandbox, *, uses_max: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._sandbox, self._uses_max, self._clock = sandbox, uses_max, clock
        self._idle: dict[_Kind, list[_Box]] = {}
        self._lock = threading.Lock()

    def prepare(self, *, study: str, limits: Limits, deadline_s: float) -> "Lease":
        """A box that was used before, or one that begins to start now; see `Sandbox.prepare`."""
        kind, now_s = (study, limits), self._clock()
        box, too_old = self._taken(kind, now_s + deadline_s)
        for old in too_old:
            old.inner.close()
        if box is None:
            lasts_s = deadline_s * self._uses_max + IDLE_S_MAX
            inner = self._sandbox.prepare(study=study, limits=limits, deadline_s=lasts_s)
            box = _Box(inner, kind, ends_s=now_s + lasts_s)
        return Lease(box, self._given_back)

    def close(self) -> None:
        """Closes the boxes that nobody uses, and the sandbox."""
        with self._lock:
            idle = [box for boxes in self._idle.values() for box in boxes]
            self._idle.clear()
        for box in idle:
            box.inner.close()
        self._sandbox.close()

    def _taken(self, kind: _Kind, until_s: float) -> "tuple[_Box | None, list[_Box]]":
        with self._lock:
            now_s = self._clock()
            everything = [box for boxes in self._idle.values() for box in boxes]
            too_old = [b for b in everything if now_s - b.idle_since_s > IDLE_S_MAX]
            too_old += [
                b for b in self._idle.get(kind, []) if b.ends_s < until_s and b not in too_old
            ]
            for box in too_old:
                self._idle[box.kind].remove(box)
            usable = self._idle.get(kind, [])
            return (usable.pop() if usable else None), too_old

    def _given_back(self, box: "_Box", *, broken: bool) -> None:
        box.uses += 1
        if broken or box.uses >= self._uses_max:
            box.inner.close()
            return
        box.idle_since_s = self._clock()
        with self._lock:
            self._idle.setdefault(box.kind, []).append(box)


class _Box:
    """A box between its uses."""

    def __init__(self, inner: SandboxBox, kind: _Kind, *, ends_s: float) -> None:
        self.inner, self.kind, self.ends_s = inner, kind, ends_s
        self.uses = 0
        self.idle_since_s = 0.0


class Lease:
    """One evaluation's use of a box. Leaving it gives the box back; a box that failed is closed."""

    def __init__(self, box: _Box, give_back: Callable[..., None]) -> None:
        self._box, self._give_back = box, give_back
        self._broken = self._closed = False

    def run(self, programs: Sequence[Program]) -> list[RunResult]:
        """Runs each program by itself, in order; see `SandboxBox.run`."""
        if self._closed:
            raise SandboxError("the box is closed", "Prepare another.")
        try:
            return self._box.inner.run(programs)
        except BaseException:
            self._broken = True
            raise

    def close(self) -> None:
        """Gives the box back."""
        if not self._closed:
            self._closed = True
            self._give_back(self._box, broken=self._broken)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
