"""Curves: what is believed of metrics that judge n answers together (voting, graded scores).

There are no passes to count (`judged` says when): a worker judges subsets of the pool, and an
example's curve says what n answers are worth. At each of a few values of n, what an arm scores on an
example is a sum of effects of both (`features`, `mixed`) and a rest, part of it chance of the draw.
Past the pool's last n its last value holds, which understates what more answers are worth.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from coordinator import features, mixed
from coordinator.beliefs import Belief, Floats, Outlook
from coordinator.features import Block, Features
from coordinator.kept import Kept
from coordinator.mixed import Mixed
from coordinator.pool import Cell, Pool
from study.config import Arm
from study.space import SearchSpace

ANCHORS: Final = 5
"""Values of n, evenly on a log scale, that are looked at; between them lies a straight line."""
DRAW_SHARE: Final = 0.5
"""The share of the rest's variance that is chance of the draw, when there is one draw."""
REST: Final = 0.4
"""The rest's variance, as a share of all, before anything was seen."""
REST_WEIGHT: Final = 10.0
"""What is expected of the rest weighs as much as so many examples."""
ROUNDS: Final = 3
AS_GOOD: Final = 1e-4
"""Between values of n that differ by less, on the metric's scale, the fewer answers."""


class Curves:
    """Learns from pools of curves.

    Args:
        sign: 1 where larger is better, -1 where smaller is.
        examples: how many tuning examples there are.
        space: of the arms.
    """

    def __init__(self, *, sign: float, examples: int, space: SearchSpace) -> None:
        self._sign, self._examples = sign, examples
        self._n = np.log(np.array(space.n, dtype=float))
        self._anchors = np.unique(
            np.searchsorted(self._n, np.linspace(self._n[0], self._n[-1], ANCHORS))
        )
        self._features = Features(_arm_blocks(space), space)
        self._local = Features(_example_blocks(space), space)
        self._forget()

    @property
    def scale(self) -> float:
        """The spread of what was seen."""
        return self._spread

    def fit(self, pools: Sequence[Pool]) -> None:
        """Read all pools; a normal model has but one mode, wherever one begins."""
        self._forget()
        seen = [pool for pool in pools if pool.examples]
        if not seen:
            return
        values, draws = self._read(seen)
        known = draws > 0
        self._centre = np.array([values[..., i][known].mean() for i in range(values.shape[2])])
        self._spread = max(1e-9, float(np.std(values[known])))
        target = np.where(known[..., None], (values - self._centre) / self._spread, 0.0)
        for _ in range(ROUNDS):
            self._fit([pool.arm for pool in seen], target, draws)

    def fit_anew(self, pools: Sequence[Pool]) -> None:
        """Read all pools."""
        self.fit(pools)

    def outlook(
        self,
        pools: Sequence[Pool],
        affordable: Sequence[int],
        versions: Sequence[Kept | None] | None = None,  # noqa: ARG002 (no curve is judged cut)
    ) -> Outlook:
        """What is believed of arms, each at the best n that it affords."""
        values = self._values(pools)
        means, at = [], []
        for mean, count in zip(values.mean(axis=1), affordable, strict=True):
            curve = np.interp(self._n[:count], self._n[self._anchors], mean)
            at.append(int(np.argmax(curve >= curve.max() - AS_GOOD * self._spread)))
            means.append(curve[at[-1]])
        reach = self._fitted[-1].reach(*self._columns([pool.arm for pool in pools]))
        shares = np.full(values.shape[:2], self._spread / self._examples)
        scatter = self._scatter(pools)
        return Outlook(
            at=at,
            means=np.array(means),
            covariance=reach.covariance(shares) + np.diag((shares**2 * scatter).sum(axis=1)),
            leverage=reach.with_sum(shares) + shares * scatter,
            spread=reach.variance + scatter,
            information=np.full(shares.shape, 1 / (self._rest * DRAW_SHARE)),
        )

    def belief(self, pool: Pool, version: Kept | None = None) -> Belief:  # noqa: ARG002
        """What is believed of an arm, for all n."""
        values = self._values([pool])[0]
        look = self.outlook([pool], [1])
        rest = self._rest * self._spread**2
        between = (values.var(axis=0) + rest) / self._examples
        count = len(self._n)
        return Belief(
            means=np.interp(self._n, self._n[self._anchors], values.mean(axis=0)),
            draw_errors=np.full(count, np.sqrt(look.covariance[0, 0])),
            example_errors=np.sqrt(np.interp(self._n, self._n[self._anchors], between)),
        )

    def _forget(self) -> None:
        self._spread, self._rest = 1.0, REST
        self._centre = np.zeros(len(self._anchors))
        self._scales = [block.scale for block in self._features.blocks]
        self._local_scales = [block.scale for block in self._local.blocks]
        width = len(self._features.owner), len(self._local.owner)
        nothing = mixed.unseen(*width, examples=self._examples)
        self._fitted: list[Mixed] = [nothing] * len(self._anchors)

    def _fit(self, arms: Sequence[Arm], target: Floats, draws: Floats) -> None:
        """Fit each n; then the scales and the rest, by what fits them all."""
        phi, psi = self._columns(arms)
        known = draws > 0
        noise = self._rest * (1 - DRAW_SHARE + DRAW_SHARE / np.maximum(1, draws))
        weights = np.where(known, 1 / noise, 0.0)
        self._fitted = [
            mixed.fit(phi, psi, mixed.normal(y, weights), examples=self._examples)
            for y in np.moveaxis(target, 2, 0)
        ]
        rests = [
            (weights * self._rest * (y - fitted.predict(phi, psi)) ** 2).sum()
            for y, fitted in zip(np.moveaxis(target, 2, 0), self._fitted, strict=True)
        ]
        count = float(known.sum())
        self._rest = (float(np.mean(rests)) + REST_WEIGHT * REST) / (count + REST_WEIGHT)
        moments = [fitted.second_moments for fitted in self._fitted]
        self._scales, _ = mixed.rescaled(
            self._scales,
            [block.scale for block in self._features.blocks],
            np.mean([of_w for of_w, _ in moments], axis=0),
            self._features.owner,
            1,
        )
        self._local_scales, _ = mixed.rescaled(
            self._local_scales,
            [block.scale for block in self._local.blocks],
            np.mean([of_v for _, of_v in moments], axis=0),
            self._local.owner,
            self._examples,
        )

    def _values(self, pools: Sequence[Pool]) -> Floats:
        """[arm, example, anchor]: what is expected, and what was seen where it was."""
        phi, psi = self._columns([pool.arm for pool in pools])
        expected = np.stack([fitted.predict(phi, psi) for fitted in self._fitted], axis=2)
        expected = self._centre + self._spread * expected
        values, draws = self._read(pools)
        trust = np.where(draws > 0, self._trust(draws), 0.0)[..., None]
        found = expected + trust * (np.where(trust > 0, values, expected) - expected)
        for j, pool in enumerate(pools):
            if pool.arm.repeats_itself:
                found[j] = found[j, :, :1]
        return found

    def _trust(self, draws: Floats) -> Floats:
        """How much of what was seen beside the effects is the example's own, not chance."""
        chance = DRAW_SHARE / np.maximum(1, draws)
        return np.asarray((1 - DRAW_SHARE) / (1 - DRAW_SHARE + chance))

    def _scatter(self, pools: Sequence[Pool]) -> Floats:
        """The variance that is left of what is an example's own."""
        draws = np.array([[cell.draws for cell in pool.cells] for pool in pools], dtype=float)
        own = self._rest * (1 - DRAW_SHARE)
        return np.where(draws > 0, own * (1 - self._trust(draws)), own)

    def _read(self, pools: Sequence[Pool]) -> tuple[Floats, Floats]:
        values = np.zeros((len(pools), self._examples, len(self._anchors)))
        draws = np.zeros(values.shape[:2])
        for j, pool in enumerate(pools):
            for e, cell in enumerate(pool.cells):
                if cell.curve:
                    values[j, e] = self._sign * self._curve(pool.arm, cell)
                    draws[j, e] = max(1, cell.draws)
        return values, draws

    def _curve(self, arm: Arm, cell: Cell) -> Floats:
        known = sorted(cell.curve)
        if arm.repeats_itself:
            return np.full(len(self._anchors), cell.curve[known[0]])
        at = self._n[self._anchors]
        return np.asarray(np.interp(at, np.log(known), [cell.curve[k] for k in known]))

    def _columns(self, arms: Sequence[Arm]) -> tuple[Floats, Floats]:
        phi = self._features.of(arms) * self._features.scales(self._scales)
        return phi, self._local.of(arms) * self._local.scales(self._local_scales)


def _arm_blocks(space: SearchSpace) -> list[Block]:
    models = features.indicator(space.models, features.model_of)
    templates = features.indicator(range(len(space.templates)), features.template_of)
    curve = features.smooth(features.heat, features.heat_knots(space), features.HEAT_SCALE)
    return [
        Block(name="constant", columns=features.constant, scale=0.5),
        Block(name="model", columns=models, scale=0.5),
        Block(name="template", columns=templates, scale=0.3),
        Block(name="both", columns=features.together(models, templates), scale=0.3),
        Block(name="heat", columns=curve, scale=0.4),
        Block(name="heat of model", columns=features.together(models, curve), scale=0.2),
        *features.of_parameters(space, 0.3),
    ]


def _example_blocks(space: SearchSpace) -> list[Block]:
    models = features.indicator(space.models, features.model_of)
    templates = features.indicator(range(len(space.templates)), features.template_of)
    return [
        Block(name="ease", columns=features.constant, scale=0.7),
        Block(name="ease for model", columns=models, scale=0.3),
        Block(name="ease for template", columns=templates, scale=0.2),
    ]
