"""Belief: what is held to be true of an arm; the one shape in which all kinds of metrics come."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from coordinator.pool import Pool
from study.config import Arm

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Belief:
    """The metric of an arm for each n, larger being better.

    Args:
        means: over all tuning examples, for each n of the space.
        draw_errors: standard errors that more draws on these examples would take away.
        example_errors: standard errors that only more examples would take away.
    """

    means: Floats
    draw_errors: Floats
    example_errors: Floats


class Model(Protocol):
    """Learns the metric of arms from their pools. Arms are numbered as they are added."""

    @property
    def scale(self) -> float:
        """How much the metric can be expected to differ between arms; 1 for shares."""

    @property
    def ceiling(self) -> float:
        """The best that any arm can be."""

    def add(self, pool: Pool) -> None:
        """Take an arm in."""

    def update(self, number: int) -> None:
        """Read an arm's pool again: it grew."""

    def refit(self) -> None:
        """Read all pools again, so that the beliefs don't depend on the order of the results."""

    def belief(self, number: int) -> Belief:
        """What is believed of an arm."""

    def forecast(self, arm: Arm) -> Belief:
        """What is expected of an arm that was not added."""
