"""Plan: what the loop drives. The search is one; evaluating a config on held-out rows is another."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from study.config import Arm
from study.messages import Evaluation, Scored
from study.trials import Estimate, Trial


@dataclass(frozen=True, kw_only=True)
class Work:
    """One evaluation to send: buy `draws` draws of an arm on an example, from `first_draw` on."""

    trial: int
    arm: Arm
    example: str
    first_draw: int
    draws: int


class Plan(Protocol):
    """Decides what to evaluate next, from what came of the evaluations so far."""

    @property
    def trials(self) -> Sequence[Trial]:
        """All trials so far, in order."""

    @property
    def finished(self) -> str | None:
        """Why there is nothing more to do, in words; None while there may be."""

    def next(self, *, available: int) -> Work | None:
        """The next evaluation whose worst case fits `available` nanodollars, if there is one now."""

    def record(self, result: Scored) -> None:
        """Take a score in."""

    def fail(self, trial: int, reason: str) -> None:
        """The provider refuses the trial's configuration."""

    def unaffordable(self, result: Evaluation) -> None:
        """The ledger refused; the evaluation was not made, and may be asked for again."""

    def lost(self, result: Evaluation) -> None:
        """The infrastructure gave this evaluation up; go on without it."""

    def changed(self) -> list[Trial]:
        """The trials that changed since the last call."""

    def recommend(self) -> Estimate | None:
        """The best config so far, if any was evaluated."""

    def restore(self, trials: Sequence[Trial]) -> None:
        """Take back the trials of an earlier coordinator; their results are recorded next."""

    def close(self) -> None:
        """End what runs in the background."""
