"""Curves: what is believed of metrics that judge n answers together (voting, graded scores).

There are no passes to count: a worker judges subsets of the pool, and an example's curve says what
n answers are worth. A curve is an arm's mean, plus what makes the example easy for all arms, plus a
rest; past the pool's last n its last value holds, which understates what more answers are worth.
"""

import math
from typing import Final

import numpy as np

from coordinator.beliefs import Belief, Floats
from coordinator.kinship import Kinship
from coordinator.pool import Cell, Pool
from study.config import Arm

KIN_EXAMPLES: Final = 2.0
"""What kin are expected to do weighs as much as so many examples."""
EASE_ARMS: Final = 2.0
"""That an example is like the others weighs as much as so many arms."""
DRAW_SHARE: Final = 0.5
"""The share of the rest's variance that is chance of the draw, when there is one draw."""


class Curves:
    """Learns the means of arms and the ease of examples from curves.

    Args:
        sign: 1 where larger is better, -1 where smaller is.
        n: the values of n, ascending.
        examples: how many tuning examples there are.
    """

    def __init__(self, *, sign: float, n: tuple[int, ...], examples: int) -> None:
        self._sign, self._examples = sign, examples
        self._n = np.log(np.array(n, dtype=float))
        self._ease = np.zeros((examples, len(n)))
        self._pools: list[Pool] = []
        self._values: list[Floats] = []
        self._means: list[Floats] = []
        self._rest = 1.0
        self._kinship = Kinship()

    @property
    def scale(self) -> float:
        """The spread of what was seen."""
        seen = [v for values in self._values for v in values[~np.isnan(values[:, 0])].ravel()]
        return max(1e-9, float(np.std(seen))) if len(seen) > 1 else 1.0

    @property
    def ceiling(self) -> float:
        """Nothing is known of the best that there can be."""
        return math.inf

    def add(self, pool: Pool) -> None:
        """Take an arm in."""
        self._means.append(self._prior(pool.arm, but=None))
        self._kinship.add(pool.arm)
        self._pools.append(pool)
        self._values.append(np.full(self._ease.shape, np.nan))

    def update(self, number: int) -> None:
        """Read an arm's pool again, then estimate its mean."""
        pool, values = self._pools[number], self._values[number]
        for index, cell in enumerate(pool.cells):
            if cell.curve:
                values[index] = self._sign * self._curve(pool.arm, cell)
        self._means[number] = self._mean(number)
        self._kinship.learn(number, pool.draws)

    def refit(self) -> None:
        """Estimate means, eases and the variance of the rest anew, from all pools."""
        for number in range(len(self._pools)):
            self.update(number)
        scored = [i for i, pool in enumerate(self._pools) if pool.examples]
        if not scored:
            return
        values = np.stack([self._values[i] for i in scored])
        known = ~np.isnan(values[:, :, 0])
        for _ in range(2):
            means = np.stack([self._means[i] for i in scored])
            rests = np.where(known[:, :, None], values - means[:, None, :], 0.0)
            self._ease = rests.sum(axis=0) / (known.sum(axis=0)[:, None] + EASE_ARMS)
            for number in scored:
                self._means[number] = self._mean(number)
        means = np.stack([self._means[i] for i in scored])
        rests = np.where(known[:, :, None], values - means[:, None, :] - self._ease, 0.0)
        free = max(1.0, known.sum() - len(scored) - (len(scored) > 1) * known.any(axis=0).sum())
        self._rest = float(np.mean((rests**2).sum(axis=(0, 1))) / free)

    def belief(self, number: int) -> Belief:
        """What is believed of an arm."""
        values = self._values[number]
        filled = np.where(np.isnan(values), self._means[number] + self._ease, values)
        return self._summary(self._pools[number], filled)

    def forecast(self, arm: Arm) -> Belief:
        """What is expected of an arm, from its kin."""
        return self._summary(None, self._prior(arm, but=None) + self._ease)

    def _summary(self, pool: Pool | None, values: Floats) -> Belief:
        draws = [cell.draws for cell in pool.cells if cell.scored] if pool else []
        chance = DRAW_SHARE * self._rest * sum(1.0 / d for d in draws)
        unseen = self._examples - len(draws)
        mean_known = self._rest / (len(draws) + KIN_EXAMPLES)
        variance = (chance + unseen * self._rest + unseen**2 * mean_known) / self._examples**2
        return Belief(
            means=values.mean(axis=0),
            draw_errors=np.full(values.shape[1], np.sqrt(variance)),
            example_errors=np.sqrt((values.var(axis=0) + self._rest) / self._examples),
        )

    def _mean(self, number: int) -> Floats:
        values = self._values[number]
        known = ~np.isnan(values[:, 0])
        expected = self._prior(self._pools[number].arm, but=number)
        total = (values[known] - self._ease[known]).sum(axis=0) + KIN_EXAMPLES * expected
        return np.asarray(total / (known.sum() + KIN_EXAMPLES))

    def _prior(self, arm: Arm, *, but: int | None) -> Floats:
        """The mean of an arm before any draw: its kin's, and else that of all arms."""
        scored = [i for i, pool in enumerate(self._pools) if pool.examples and i != but]
        if not scored:
            own = [] if but is None else [v for v in self._values[but] if not np.isnan(v[0])]
            return np.asarray(np.mean(own, axis=0)) if own else np.zeros(len(self._n))
        shares, strange = self._kinship.shares(arm, but=but)
        shares = shares[: len(self._means)][scored] + strange / len(scored)
        means = np.stack([self._means[i] for i in scored])
        return np.asarray(shares @ means / shares.sum())

    def _curve(self, arm: Arm, cell: Cell) -> Floats:
        known = sorted(cell.curve)
        if arm.repeats_itself:
            return np.full(len(self._n), cell.curve[known[0]])
        return np.asarray(np.interp(self._n, np.log(known), [cell.curve[k] for k in known]))
