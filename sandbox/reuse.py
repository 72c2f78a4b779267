"""Reuse: hands a box to several evaluations, one after the other; for hosts that can't start enough.

Off unless asked for. A container for each evaluated example is the stronger wall; but engines start
only a handful a second (about 7 on two cores), and where calls are quick the starts decide how fast
a study is. What stays between two evaluations that share a box is what is between two programs of
one evaluation: another process, uid and folder, everything killed and wiped in between.
"""

import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from sandbox.contract import Sandbox, SandboxBox
from sandbox.errors import SandboxError
from sandbox.limits import Limits
from sandbox.program import Program, RunResult

BOXES_MAX: Final = max(4, 2 * (os.cpu_count() or 1))
"""Of one study and one worker: programs want a CPU each, so more would only wait for each other."""
IDLE_S_MAX: Final = 60.0
"""A box that nobody wanted for so long is closed at the next occasion."""
LASTS_S: Final = 3600.0
"""After that a box ends by itself, whatever happens to us."""

_Kind = tuple[str, Limits]


class ReusedBoxes:
    """A `Sandbox` whose boxes serve up to `uses_max` evaluations of one study each.

    Unlike a box of its own, a shared one is taken only while programs run, so few are enough.

    Args:
        sandbox: makes the boxes.
        uses_max: how many evaluations one box serves.
        boxes_max: how many there are at once, of one study.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        *,
        uses_max: int,
        boxes_max: int = BOXES_MAX,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sandbox, self._uses_max, self._boxes_max = sandbox, uses_max, boxes_max
        self._clock = clock
        self._idle: list[_Box] = []
        self._busy: list[_Box] = []
        self._change = threading.Condition()

    def prepare(self, *, study: str, limits: Limits, deadline_s: float) -> "Lease":
        """Begins to start a box if none waits; see `Sandbox.prepare`."""
        kind = (study, limits)
        with self._change:
            if not any(box.kind == kind for box in self._idle) and self._may_start(kind):
                self._idle.append(self._started(kind))
        return Lease(self, kind, until_s=self._clock() + deadline_s)

    def run(self, kind: _Kind, programs: Sequence[Program], *, until_s: float) -> list[RunResult]:
        """Runs programs in a box of a kind, as soon as one is free.

        Raises:
            SandboxError: none came free in time, or it failed; that box is not used again.
        """
        box, usable = self._taken(kind, until_s), False
        try:
            results = box.inner.run(programs)
            usable = True
        finally:
            self._given_back(box, usable=usable)
        return results

    def close(self) -> None:
        """Closes the boxes that nobody uses, and the sandbox with all others."""
        with self._change:
            idle, self._idle = self._idle, []
        for box in idle:
            box.inner.close()
        self._sandbox.close()

    def _taken(self, kind: _Kind, until_s: float) -> "_Box":
        with self._change:
            self._close_old()
            while True:
                box = next((box for box in self._idle if box.kind == kind), None)
                if box is not None:
                    self._idle.remove(box)
                elif self._may_start(kind):
                    box = self._started(kind)
                if box is not None:
                    self._busy.append(box)
                    return box
                left_s = until_s - self._clock()
                if left_s <= 0 or not self._change.wait(left_s):
                    raise SandboxError("no box came free in time", "Let fewer evaluations run.")

    def _given_back(self, box: "_Box", *, usable: bool) -> None:
        box.uses += 1
        box.idle_since_s = self._clock()
        kept = usable and box.uses < self._uses_max
        with self._change:
            self._busy.remove(box)
            if kept:
                self._idle.append(box)
            self._change.notify_all()
        if not kept:
            box.inner.close()

    def _may_start(self, kind: _Kind) -> bool:
        same = [box for box in (*self._idle, *self._busy) if box.kind == kind]
        return len(same) < self._boxes_max

    def _started(self, kind: _Kind) -> "_Box":
        study, limits = kind
        inner = self._sandbox.prepare(study=study, limits=limits, deadline_s=LASTS_S)
        return _Box(inner, kind, born_s=self._clock())

    def _close_old(self) -> None:
        now_s = self._clock()
        for box in list(self._idle):
            if now_s - box.idle_since_s > IDLE_S_MAX or now_s - box.born_s > LASTS_S / 2:
                self._idle.remove(box)
                box.inner.close()


class _Box:
    """A box between its uses."""

    def __init__(self, inner: SandboxBox, kind: _Kind, *, born_s: float) -> None:
        self.inner, self.kind = inner, kind
        self.uses = 0
        self.born_s = self.idle_since_s = born_s


class Lease(SandboxBox):
    """One evaluation's leave to use a box of a kind."""

    def __init__(self, boxes: ReusedBoxes, kind: _Kind, *, until_s: float) -> None:
        self._boxes, self._kind, self._until_s = boxes, kind, until_s
        self._closed = False

    def run(self, programs: Sequence[Program]) -> list[RunResult]:
        """Runs each program by itself, in order; see `SandboxBox.run`."""
        if self._closed:
            raise SandboxError("the box is closed", "Prepare another.")
        return self._boxes.run(self._kind, programs, until_s=self._until_s)

    def close(self) -> None:
        """Gives up the leave; the boxes stay for others."""
        self._closed = True
