"""Judged: what is believed of a user's function: passes, while it only counts good answers; else curves.

Most functions judge each answer, and the worth of n follows from how many are good: that any is, or all,
or most, or which share. Workers say with which count metrics what they saw agrees (`study.resampling`).
What all of a study's results agree with is held to be the metric, and as soon as none is left curves
are: of the same results, in whatever order, the same is believed.

Where several are left (no example was both solved and missed, say), the search goes by the one that
expects most of more answers, since it then buys some, which tell; the answer by the one that expects least.
"""

from collections.abc import Sequence

from coordinator.abilities import Abilities
from coordinator.beliefs import Belief, Model, Outlook
from coordinator.curves import Curves
from coordinator.kept import Kept
from coordinator.pool import Pool
from study.metrics import RECOGNISED
from study.space import SearchSpace


class Judged:
    """Learns from the pools of a user's function.

    Args:
        sign: 1 where larger is better, -1 where smaller is.
        examples: how many tuning examples there are.
        space: of the arms.
    """

    def __init__(self, *, sign: float, examples: int, space: SearchSpace) -> None:
        self._sign, self._examples, self._space = sign, examples, space
        self._counts_as: str | None = list(RECOGNISED)[-1]
        self._model = self._made()

    @property
    def scale(self) -> float:
        """How much the metric can be expected to differ between arms."""
        return self._model.scale

    def fit(self, pools: Sequence[Pool]) -> None:
        """Read all pools."""
        if self._holds(_agreeing(pools)[-1]):
            self._model.fit(pools)
        else:
            self._model.fit_anew(pools)

    def fit_anew(self, pools: Sequence[Pool]) -> None:
        """Read all pools as if for the first time."""
        self._holds(_agreeing(pools)[0])
        self._model.fit_anew(pools)

    def outlook(
        self,
        pools: Sequence[Pool],
        affordable: Sequence[int],
        versions: Sequence[Kept | None] | None = None,
    ) -> Outlook:
        """What is believed of arms, each at the best n that it affords."""
        return self._model.outlook(pools, affordable, versions)

    def belief(self, pool: Pool, version: Kept | None = None) -> Belief:
        """What is believed of an arm, for all n."""
        return self._model.belief(pool, version)

    def _holds(self, counts_as: str | None) -> bool:
        """Whether the metric was held to be this one; else it is now."""
        if counts_as == self._counts_as:
            return True
        self._counts_as = counts_as
        self._model = self._made()
        return False

    def _made(self) -> Model:
        if self._counts_as is None:
            return Curves(sign=self._sign, examples=self._examples, space=self._space)
        metric = RECOGNISED[self._counts_as]
        # Where little is good, good answers are those worth 0, and their metric is 1 less the value.
        less = 0.0 if self._sign > 0 else 1.0
        return Abilities(
            lambda passes, n: metric(passes, n) - less,
            n=self._space.n,
            examples=self._examples,
            space=self._space,
        )


def _agreeing(pools: Sequence[Pool]) -> list[str] | list[None]:
    """The count metrics with which all agrees, or that there is none."""
    agreeing = [name for name in RECOGNISED if all(name in pool.counts_as for pool in pools)]
    return agreeing or [None]
