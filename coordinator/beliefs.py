"""Beliefs: what is held to be true of arms; the one shape in which all kinds of metrics come."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from coordinator.features import Floats as Floats
from coordinator.kept import Kept
from coordinator.pool import Pool


@dataclass(frozen=True, kw_only=True)
class Belief:
    """The metric of an arm for each n, larger being better.

    Args:
        means: over all tuning examples, for each n of the space.
        draw_errors: standard errors that more draws on these examples would take away; of a cut, also
            that of the examples that it spoils, since its own arm does without.
        example_errors: standard errors that only more examples would take away.
    """

    means: Floats
    draw_errors: Floats
    example_errors: Floats


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """What is believed of some arms together, each at the best n that it affords.

    Args:
        at: [arm]: the index of that n.
        means: [arm] of the metric, over the tuning examples.
        covariance: [arm, arm] of these.
        leverage: [arm, example]: the covariance of an arm's mean with its predictor there.
        spread: [arm, example]: the variance of that predictor.
        information: [arm, example]: what one draw tells of that predictor (inverse variance).
    """

    at: list[int]
    means: Floats
    covariance: Floats
    leverage: Floats
    spread: Floats
    information: Floats

    def of_some(self, arms: Sequence[int]) -> "Outlook":
        """Of some of the arms only."""
        chosen = np.array(arms, dtype=np.intp)
        return Outlook(
            at=[self.at[i] for i in arms],
            means=self.means[chosen],
            covariance=self.covariance[np.ix_(chosen, chosen)],
            leverage=self.leverage[chosen],
            spread=self.spread[chosen],
            information=self.information[chosen],
        )


class Model(Protocol):
    """Learns the metric of arms from their pools."""

    @property
    def scale(self) -> float:
        """How much the metric can be expected to differ between arms; 1 for shares."""

    def fit(self, pools: Sequence[Pool]) -> None:
        """Read all pools; what was believed before tells where to begin."""

    def fit_anew(self, pools: Sequence[Pool]) -> None:
        """Read all pools as if for the first time: the same pools give the same beliefs."""

    def outlook(
        self,
        pools: Sequence[Pool],
        affordable: Sequence[int],
        versions: Sequence[Kept | None] | None = None,
    ) -> Outlook:
        """What is believed of arms, of some of which nothing was bought.

        Args:
            pools: of the arms.
            affordable: how many of the values of n, the first ones, each arm affords; at least 1.
            versions: the cuts under which they are looked at; None: in full.
        """

    def belief(self, pool: Pool, version: Kept | None = None) -> Belief:
        """What is believed of an arm, or of its answers cut, for all n."""
