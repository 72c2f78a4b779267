"""Abilities: an item-response model of passing and failing, so that all arms' draws tell of each.

A draw of arm a on example e passes with probability c sigmoid(x). The ceiling c is for answers that
ignore the asked format, or that stop strings spoil (`spared`); x is the sum of

    kappa(heat) (the arm's lead + the example's ease, for all, for its model, template and stops)
    + a curve of the heat + a scatter of the arm on the example.

`kappa` grows as answers get colder: examples are then solved always or never. Effects are normal
with learned scales (`features`, `mixed`); the scatter is integrated out at Gauss-Hermite nodes.
Bayesian logistic regression with crossed random effects, fitted by Laplace's approximation, as in
De Boeck and Wilson 2004 (Explanatory Item Response Models).
"""

import itertools
import math
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from coordinator import features, mixed
from coordinator.beliefs import Belief, Floats, Outlook
from coordinator.features import Block, Features
from coordinator.gain import Indices
from coordinator.kept import Kept
from coordinator.mixed import Effects, Mixed
from coordinator.pool import Pool
from coordinator.spared import Spared
from study.config import Arm
from study.metrics import CountMetric
from study.space import SearchSpace

LOGITS: Final[Floats] = np.linspace(-12.0, 12.0, 193)
"""Where beliefs about a chance of passing are kept; a ceiling bends what lies between."""
NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(9)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()
EVEN: Final[Floats] = np.linspace(-3.6, 3.6, 25)
"""Where a wide normal is looked at that nothing bends: evenly, as the metric may rise steeply in it."""
_EVEN_WEIGHTS = np.exp(-(EVEN**2) / 2) / np.exp(-(EVEN**2) / 2).sum()
COLDNESS: Final = {0.7: -3.0, 0.4: -1.0, 0.2: 0.0, 0.1: -1.0}
"""Values of rho tried, kappa(heat) = 1 / (rho + (1 - rho) heat), and the logarithms of their odds.

Cold answers are much alike, whatever few draws seem to say.
"""
SCATTERS: Final = (0.4, 0.8)
"""Values tried of the scatter of an arm on an example, in units of the lead."""
SHAPE: Final = (0.2, 0.8)
"""Of both, before anything was seen."""
RESHAPE_GROWTH: Final = 1.5
"""The values are chosen anew when there are so many times the draws of the last time."""
ROUNDS: Final = 2
"""Updates of scales and ceilings in a fit that begins where the last one ended."""
ROUNDS_KNOWN: Final = 1
KNOWN_DRAWS: Final = 2000
"""With so many draws scales and shape move little from one fit to the next."""
ROUNDS_ANEW: Final = 6
CEILING: Final = 0.92
CEILING_WEIGHT: Final = 12.0
"""The ceiling expected weighs as much as so many draws that would pass without one."""
SHARES: Final[Floats] = 1 - np.geomspace(0.98, 0.005, 48)
"""Values of a ceiling that are compared."""
RESHAPE_MIN: Final = 40
AS_GOOD: Final = 1e-4
"""Between values of n that differ by less, the fewer answers."""
CURVATURE_MIN: Final = 1e-6
CHANCE_MIN: Final = 1e-12
EXAMPLE_SCALES: Final = (1.8, 0.5, 0.3, 0.5)


@dataclass(frozen=True, kw_only=True)
class _Counts:
    """What was drawn, [arm, example]."""

    draws: Floats
    passes: Floats


@dataclass(frozen=True, kw_only=True)
class _Chances:
    """Densities of the logits of chances of passing, over which a table of the metric is summed.

    Args:
        density: [example, quantile of what a cut keeps, logit]: gives the metric's mean.
        leaning: [example, logit]: gives how that moves with the predictor.
    """

    density: Floats
    leaning: Floats


class Abilities:
    """Learns from pools of passes.

    Args:
        metric: of (passes, n); larger is better.
        n: the values of n, ascending.
        examples: how many tuning examples there are.
        space: of the arms.
    """

    def __init__(
        self, metric: CountMetric, *, n: tuple[int, ...], examples: int, space: SearchSpace
    ) -> None:
        self._examples = examples
        self._shaped_draws = 0
        self._features = _lead_features(space)
        self._heat = _heat_features(space)
        self._local = _example_features(space)
        self._knots = max(features.heat_knots(space))
        passing = 1 / (1 + np.exp(-LOGITS))
        self._fresh = np.stack([_expected(metric, k, passing) for k in n], axis=1)
        self._repeated = np.stack(
            [passing * metric(k, k) + (1 - passing) * metric(0, k) for k in n], axis=1
        )
        self._spared = Spared(examples)
        self._slopes = np.gradient(self._fresh, LOGITS, axis=0)
        self._repeated_slopes = np.gradient(self._repeated, LOGITS, axis=0)
        self._forget()

    @property
    def scale(self) -> float:
        """Metrics of passes are shares."""
        return 1.0

    def fit(self, pools: Sequence[Pool]) -> None:
        """Read all pools; scales and effects begin where they were."""
        self._spared.fit(pools)
        draws = sum(pool.draws for pool in pools)
        if draws >= RESHAPE_GROWTH * self._shaped_draws + RESHAPE_MIN:
            self._shaped_draws = draws
            every = itertools.product(COLDNESS, SCATTERS)
            self._reshape(pools, every if draws < KNOWN_DRAWS else self._near())
        self._learn(pools, ROUNDS if draws < KNOWN_DRAWS else ROUNDS_KNOWN)

    def fit_anew(self, pools: Sequence[Pool]) -> None:
        """Read all pools as if for the first time."""
        self._forget()
        self._spared.fit(pools)
        self._learn(pools, ROUNDS)
        self._reshape(pools, itertools.product(COLDNESS, SCATTERS))
        self._learn(pools, ROUNDS_ANEW)

    def outlook(
        self,
        pools: Sequence[Pool],
        affordable: Sequence[int],
        versions: Sequence[Kept | None] | None = None,
    ) -> Outlook:
        """What is believed of arms, each at the best n that it affords."""
        arms = [pool.arm for pool in pools]
        phi, psi = self._columns(arms)
        ceilings = self._ceilings(arms)
        centre, reach = self._fitted.predict(phi, psi), self._fitted.reach(phi, psi)
        versions = versions or [None] * len(pools)
        variance = reach.variance
        at, values, slopes = self._values(pools, centre, variance, affordable, versions)
        information = _information(centre, ceilings)
        scatter = (self._scatter(arms) ** 2)[:, None]
        scatter = scatter / (1 + _counts(pools, self._examples).draws * information * scatter)
        shares = slopes / self._examples
        return Outlook(
            at=at,
            means=values.mean(axis=1),
            covariance=reach.covariance(shares) + np.diag((shares**2 * scatter).sum(axis=1)),
            leverage=reach.with_sum(shares) + shares * scatter,
            spread=variance + scatter,
            information=information,
        )

    def belief(self, pool: Pool, version: Kept | None = None) -> Belief:
        """What is believed of an arm, or of its answers cut, for all n."""
        phi, psi = self._columns([pool.arm])
        centre, reach = self._fitted.predict(phi, psi), self._fitted.reach(phi, psi)
        density = self._density(pool, centre, reach.variance)
        worth, bends = self._worth(pool.arm)
        ceilings = self._ceilings([pool.arm])
        chances = _chances(density, ceilings[0], version)
        each = chances.density @ worth  # [example, quantile, n]
        values = each.mean(axis=1)
        variances = np.maximum(0.0, (chances.density @ worth**2).mean(axis=1) - values**2)
        shares = (chances.leaning @ bends) / self._examples
        information = _information(centre, ceilings)[0]
        scatter = float(self._scatter([pool.arm])[0]) ** 2
        drawn = _counts([pool], self._examples).draws[0]
        scatter_left = scatter / (1 + drawn * information * scatter)
        common = reach.common(shares.T)
        together = (common**2).sum(axis=1) + (
            shares**2 * (reach.own[0] + scatter_left)[:, None]
        ).sum(0)
        between = (values.var(axis=0) + variances.mean(axis=0) + _unheard_of(values)) / 2
        between /= self._examples
        if version is not None:
            together += each.var(axis=1).sum(axis=0) / self._examples**2
            together += (version.unseen_error * (values.mean(axis=0) - worth[0])) ** 2
            values = values - version.unseen * (values - worth[0])
        return Belief(
            means=values.mean(axis=0),
            draw_errors=np.sqrt(together),
            example_errors=np.sqrt(between),
        )

    def _forget(self) -> None:
        self._rho, self._scattered = SHAPE
        self._scales = [block.scale for block in [*self._features.blocks, *self._heat.blocks]]
        self._local_scales = [block.scale for block in self._local.blocks]
        self._groups: dict[Hashable, float] = {}
        self._ceiling = CEILING
        self._effects: Effects | None = None
        self._fitted = self._prior()

    def _prior(self) -> Mixed:
        """What is believed before anything was seen."""
        columns = len(self._features.owner) + len(self._heat.owner)
        return mixed.unseen(columns, len(self._local.owner), examples=self._examples)

    def _near(self) -> Iterable[tuple[float, float]]:
        """The present coldness, its neighbours, and the other scatters."""
        every = list(COLDNESS)
        at = every.index(self._rho)
        yield from itertools.product(every[max(0, at - 1) : at + 2], [self._scattered])
        yield from ((self._rho, other) for other in SCATTERS if other != self._scattered)

    def _reshape(self, pools: Sequence[Pool], shapes: Iterable[tuple[float, float]]) -> None:
        """Choose coldness and scatter by the evidence."""
        seen = [pool for pool in pools if pool.draws]
        if not seen:
            return
        arms, counts = [pool.arm for pool in seen], _counts(seen, self._examples)
        found: list[tuple[float, tuple[float, float]]] = []
        for shape in list(shapes):
            self._rho, self._scattered = shape
            self._fit(arms, counts)
            found.append((self._fitted.evidence + COLDNESS[self._rho], shape))
        self._rho, self._scattered = max(found)[1]

    def _learn(self, pools: Sequence[Pool], rounds: int) -> None:
        seen = [pool for pool in pools if pool.draws]
        if not seen:
            return
        arms, counts = [pool.arm for pool in seen], _counts(seen, self._examples)
        for _ in range(rounds):
            self._fit(arms, counts)
            self._rescale()
            self._lift(arms, counts)
        self._fit(arms, counts)

    def _fit(self, arms: Sequence[Arm], counts: _Counts) -> None:
        phi, psi = self._columns(arms)
        likelihood = _Passing(counts, self._ceilings(arms), self._scatter(arms))
        self._fitted = mixed.fit(phi, psi, likelihood, examples=self._examples, start=self._effects)
        self._effects = self._fitted.effects

    def _rescale(self) -> None:
        """A step of expectation maximisation for the scales of effects."""
        of_w, of_v = self._fitted.second_moments
        owner = np.r_[self._features.owner, self._heat.owner + len(self._features.blocks)]
        defaults = [b.scale for b in [*self._features.blocks, *self._heat.blocks]]
        self._scales, stretch = mixed.rescaled(self._scales, defaults, of_w, owner, 1)
        defaults = [b.scale for b in self._local.blocks]
        self._local_scales, local_stretch = mixed.rescaled(
            self._local_scales, defaults, of_v, self._local.owner, self._examples
        )
        effects = self._fitted.effects
        self._effects = Effects(w=effects.w / stretch, v=effects.v / local_stretch)

    def _lift(self, arms: Sequence[Arm], counts: _Counts) -> None:
        """The ceilings that the draws speak for, a model and template at a time."""
        phi, psi = self._columns(arms)
        eta = self._fitted.predict(phi, psi)
        scatter = self._scatter(arms)
        passing = 1 / (1 + np.exp(-(eta[..., None] + scatter[:, None, None] * NODES)))
        chance = np.asarray(passing @ _WEIGHTS) * self._left(arms)
        everything = list(range(len(arms)))
        self._ceiling = _ceiling(counts, chance, everything, CEILING, CEILING_WEIGHT)
        for group, members in _grouped(arms, _asked).items():
            self._groups[group] = _ceiling(counts, chance, members, self._ceiling, CEILING_WEIGHT)

    def _columns(self, arms: Sequence[Arm]) -> tuple[Floats, Floats]:
        kappa = np.array([self._kappa(arm) for arm in arms])[:, None]
        lead, curve = self._features.of(arms), self._heat.of(arms)
        local = self._local.of(arms)
        split = len(self._features.blocks)
        lead = kappa * lead * self._features.scales(self._scales[:split])
        curve = curve * self._heat.scales(self._scales[split:])
        return np.hstack([lead, curve]), kappa * local * self._local.scales(self._local_scales)

    def _kappa(self, arm: Arm) -> float:
        return 1.0 / (self._rho + (1 - self._rho) * features.heat(arm))

    def _scatter(self, arms: Sequence[Arm]) -> Floats:
        return self._scattered * np.array([self._kappa(arm) for arm in arms])

    def _ceilings(self, arms: Sequence[Arm]) -> Floats:
        """[arm, example]: the chance of passing of an able arm."""
        groups = np.array([self._groups.get(_asked(arm), self._ceiling) for arm in arms])
        return groups[:, None] * self._left(arms)

    def _left(self, arms: Sequence[Arm]) -> Floats:
        return np.array([self._spared.of(arm) for arm in arms]).reshape(len(arms), self._examples)

    def _worth(self, arm: Arm) -> tuple[Floats, Floats]:
        if arm.repeats_itself:
            return self._repeated, self._repeated_slopes
        return self._fresh, self._slopes

    def _values(
        self,
        pools: Sequence[Pool],
        centre: Floats,
        variance: Floats,
        affordable: Sequence[int],
        versions: Sequence[Kept | None],
    ) -> tuple[list[int], Floats, Floats]:
        """The best n, and [arm, example]: the metric then, and how it moves with the predictor."""
        points = self._points(pools, centre, variance)
        ceilings = self._ceilings([pool.arm for pool in pools])
        tiers, rows = _tiers(ceilings)
        at: list[int] = []
        worth, bent = np.zeros((len(tiers), len(LOGITS))), np.zeros((len(tiers), len(LOGITS)))
        means = np.sum([some.summed(rows, len(tiers)) for some in points], axis=0) / self._examples
        for pool, count, own in zip(pools, affordable, rows, strict=True):
            values, bends = self._worth(pool.arm)
            levels = np.unique(own)
            under, bend = _under(tiers[levels])
            curve = _histogram(under, means[levels]).sum(axis=0) @ values[:, :count]
            at.append(int(np.argmax(curve >= curve.max() - AS_GOOD)))
            worth[levels] = np.interp(under, LOGITS, values[:, at[-1]])
            bent[levels] = np.interp(under, LOGITS, bends[:, at[-1]]) * bend
        found, slopes = np.zeros(centre.shape), np.zeros(centre.shape)
        for some in points:
            found[some.arms, some.examples] = some.mean(rows, worth)
            slopes[some.arms, some.examples] = some.mean(rows, bent)
        for j, version in enumerate(versions):
            if version is not None:
                density = self._density(pools[j], centre[[j]], variance[[j]])
                chances = _chances(density, ceilings[j], version)
                at[j], found[j], slopes[j] = self._cut(pools[j], chances, affordable[j], version)
        return at, found, slopes

    def _cut(
        self, pool: Pool, chances: "_Chances", affordable: int, version: Kept
    ) -> tuple[int, Floats, Floats]:
        """The same of one arm, cut."""
        worth, bends = self._worth(pool.arm)
        density = chances.density.mean(axis=1)
        curve = density.mean(axis=0) @ worth[:, :affordable]
        at = int(np.argmax(curve >= curve.max() - AS_GOOD))
        values = density @ worth[:, at]
        values -= version.unseen * (values - worth[0, at])
        return at, values, chances.leaning @ bends[:, at]

    def _density(self, pool: Pool, centre: Floats, variance: Floats) -> Floats:
        """[example, logit]: what is believed of an arm's predictor with its scatter."""
        density = np.zeros((self._examples, len(LOGITS)))
        for some in self._points([pool], centre, variance):
            density[some.examples] = some.density()
        return density

    def _points(
        self, pools: Sequence[Pool], centre: Floats, variance: Floats
    ) -> tuple["_Points", ...]:
        """What is believed of predictors with their scatter: where nothing was drawn, and where it was."""
        arms = [pool.arm for pool in pools]
        counts = _counts(pools, self._examples)
        ceilings, scatter = self._ceilings(arms), self._scatter(arms)
        drawn = counts.draws > 0
        j, e = np.nonzero(~drawn)
        x = centre[j, e, None] + np.sqrt(variance[j, e] + scatter[j] ** 2)[:, None] * EVEN
        unseen = _Points.of(j, e, x, np.broadcast_to(_EVEN_WEIGHTS, x.shape))
        j, e = np.nonzero(drawn)
        first = centre[j, e, None] + np.sqrt(variance[j, e])[:, None] * NODES
        x = (first[:, :, None] + scatter[j, None, None] * NODES).reshape(len(j), len(NODES) ** 2)
        p = np.clip(ceilings[j, e, None] / (1 + np.exp(-x)), 1e-12, 1 - 1e-12)
        k, m = counts.passes[j, e, None], counts.draws[j, e, None]
        weights = k * np.log(p) + (m - k) * np.log1p(-p)
        weights = np.exp(weights - weights.max(axis=1, keepdims=True))
        weights *= np.outer(_WEIGHTS, _WEIGHTS).ravel()
        return unseen, _Points.of(j, e, x, weights / weights.sum(axis=1, keepdims=True))


@dataclass(frozen=True, kw_only=True)
class _Points:
    """Predictors of some cells, each by a few values and their weights.

    Args:
        arms: of the cells, [cell]; so `examples`.
        below: the logit beneath each value, [cell, value].
        low: how much of the value's weight is that logit's; `high`: the next one's.
    """

    arms: Indices
    examples: Indices
    below: Indices
    low: Floats
    high: Floats

    @classmethod
    def of(cls, arms: Indices, examples: Indices, x: Floats, weights: Floats) -> "_Points":
        """Split each value's weight between the two logits that it lies between."""
        place = (x - LOGITS[0]) / (LOGITS[1] - LOGITS[0])
        np.clip(place, 0, np.nextafter(len(LOGITS) - 1, 0), out=place)
        below = place.astype(np.intp)
        place -= below
        high = weights * place
        return cls(arms=arms, examples=examples, below=below, low=weights - high, high=high)

    def density(self) -> Floats:
        """[cell, logit]: the weights."""
        return self._binned(np.arange(len(self.arms)), len(self.arms))

    def summed(self, rows: Indices, count: int) -> Floats:
        """[row, logit]: the weights, summed over the cells of each row, of which [arm, example] tells."""
        return self._binned(rows[self.arms, self.examples], count)

    def mean(self, rows: Indices, table: Floats) -> Floats:
        """[cell]: the mean of what a table [row, logit] says of the cell's values."""
        row = rows[self.arms, self.examples]
        flat, at = table.ravel(), self.below + table.shape[1] * row[:, None]
        low, high = flat.take(at), flat[1:].take(at)
        return np.asarray(np.vecdot(self.low, low) + np.vecdot(self.high, high))

    def _binned(self, rows: Indices, count: int) -> Floats:
        at = (self.below + len(LOGITS) * rows[:, None]).ravel()
        size = count * len(LOGITS)
        density = np.bincount(at, self.low.ravel(), size)
        density += np.bincount(at + 1, self.high.ravel(), size + 1)[:size]
        return np.asarray(density.reshape(count, len(LOGITS)), dtype=float)


class _Passing:
    """The likelihood of counts of passes, scatter integrated out."""

    def __init__(self, counts: _Counts, ceilings: Floats, scatter: Floats) -> None:
        self._at = np.nonzero(counts.draws)
        self._k = counts.passes[self._at][:, None]
        self._missed = counts.draws[self._at][:, None] - self._k
        self._ceilings = ceilings[self._at][:, None]
        self._shift = scatter[self._at[0], None] * NODES

    def __call__(self, eta: Floats) -> tuple[float, Floats, Floats]:
        s = 1 / (1 + np.exp(-np.clip(eta[self._at][:, None] + self._shift, -40, 40)))
        p = np.clip(self._ceilings * s, 1e-15, 1 - 1e-15)
        k, missed = self._k, self._missed
        weights = k * np.log(p) + missed * np.log1p(-p)
        highest = weights.max(axis=1, keepdims=True)
        weights = np.exp(weights - highest) * _WEIGHTS
        total = weights.sum(axis=1, keepdims=True)
        weights /= total
        odd = missed / (1 - p)  # the slope of p is p (1 - s)
        slope = (k - odd * p) * (1 - s)
        bend = -slope * s - odd * p * (1 - s) ** 2 / (1 - p)
        first = (weights * slope).sum(axis=1)
        second = (weights * (bend + slope**2)).sum(axis=1) - first**2
        slopes, curvatures = np.zeros(eta.shape), np.zeros(eta.shape)
        slopes[self._at] = first
        curvatures[self._at] = np.maximum(-second, CURVATURE_MIN)
        return float((highest + np.log(total)).sum()), slopes, curvatures


def _lead_features(space: SearchSpace) -> Features:
    models = features.indicator(space.models, features.model_of)
    templates = features.indicator(range(len(space.templates)), features.template_of)
    return Features(
        [
            Block(name="constant", columns=features.constant, scale=1.5),
            Block(name="model", columns=models, scale=1.2),
            Block(name="template", columns=templates, scale=0.4),
            Block(name="both", columns=features.together(models, templates), scale=0.8),
            *features.of_parameters(space, 0.5),
        ],
        space,
    )


def _heat_features(space: SearchSpace) -> Features:
    models = features.indicator(space.models, features.model_of)
    curve = features.smooth(features.heat, features.heat_knots(space), features.HEAT_SCALE)
    return Features(
        [
            Block(name="heat", columns=curve, scale=1.0),
            Block(name="heat of model", columns=features.together(models, curve), scale=0.5),
        ],
        space,
    )


def _example_features(space: SearchSpace) -> Features:
    models = features.indicator(space.models, features.model_of)
    templates = features.indicator(range(len(space.templates)), features.template_of)
    ease, of_model, of_template, of_stops = EXAMPLE_SCALES
    blocks = [
        Block(name="ease", columns=features.constant, scale=ease),
        Block(name="ease for model", columns=models, scale=of_model),
        Block(name="ease for template", columns=templates, scale=of_template),
    ]
    if (stops := features.values(space, "stop")) is not None:  # spoil what they come up in
        blocks.append(Block(name="ease for stops", columns=stops, scale=of_stops))
    return Features(blocks, space)


def _counts(pools: Sequence[Pool], examples: int) -> _Counts:
    draws, passes = np.zeros((len(pools), examples)), np.zeros((len(pools), examples))
    for j, pool in enumerate(pools):
        if pool.draws:
            draws[j] = [cell.draws for cell in pool.cells]
            passes[j] = [cell.passes for cell in pool.cells]
    return _Counts(draws=draws, passes=passes)


def _ceiling(
    counts: _Counts, chance: Floats, arms: list[int], expected: float, weight: float
) -> float:
    """The likeliest ceiling, given the chances of passing without it."""
    passes, draws = counts.passes[arms].ravel(), counts.draws[arms].ravel()
    drawn = draws > 0
    fails, chance = (draws - passes)[drawn], chance[arms].ravel()[drawn]
    likelihood = (passes.sum() + weight * expected) * np.log(SHARES)
    likelihood += weight * (1 - expected) * np.log1p(-SHARES)
    likelihood += np.log1p(-SHARES[:, None] * chance) @ fails
    return float(SHARES[likelihood.argmax()])


def _asked(arm: Arm) -> Hashable:
    """Who is asked, and how."""
    return arm.model, arm.template


def _grouped(arms: Sequence[Arm], of: Callable[[Arm], Hashable]) -> dict[Hashable, list[int]]:
    groups: dict[Hashable, list[int]] = {}
    for number, arm in enumerate(arms):
        groups.setdefault(of(arm), []).append(number)
    return groups


def _chances(density: Floats, ceilings: Floats, version: Kept | None) -> _Chances:
    """What is believed of predictors, read as chances under the examples' ceilings, and after a cut."""
    s = 1 / (1 + np.exp(-LOGITS))
    below = ceilings[:, None, None] * s  # [example, quantile, logit]
    steep = below * (1 - s)
    if version is not None:
        passing, failing = version.passing[..., None], version.failing[..., None]
        steep = steep * (passing - failing)
        below = passing * below + failing * (1 - below)
    below = np.clip(below, CHANCE_MIN, 1 - CHANCE_MIN)
    logits = np.log(below) - np.log1p(-below)
    shape = (len(density), *logits.shape[1:])
    flat, weights = np.broadcast_to(logits, shape), np.broadcast_to(density[:, None, :], shape)
    return _Chances(
        density=_histogram(flat, weights),
        leaning=_histogram(flat, weights * steep / (below * (1 - below))).mean(axis=1),
    )


def _information(eta: Floats, ceilings: Floats) -> Floats:
    """What one draw tells of its predictor (Fisher's information)."""
    s = 1 / (1 + np.exp(-eta))
    p = np.minimum(ceilings * s, 1 - 1e-12)
    return np.asarray(p * (1 - s) ** 2 / (1 - p))


def _tiers(ceilings: Floats) -> tuple[Floats, Indices]:
    """The ceilings that each arm has anywhere, arm by arm, and [arm, example]: which of them."""
    rows = np.zeros(ceilings.shape, dtype=np.intp)
    tiers: list[Floats] = []
    count = 0
    for own, ceiling in zip(rows, ceilings, strict=True):
        levels, which = np.unique(ceiling, return_inverse=True)
        own[:] = count + which
        count += len(levels)
        tiers.append(levels)
    return np.concatenate(tiers), rows


def _under(ceilings: Floats) -> tuple[Floats, Floats]:
    """[ceiling, logit]: the logits of chances that it bends, and how they move with those without one."""
    s = 1 / (1 + np.exp(-LOGITS))
    ceiling = ceilings[:, None]
    chance = np.clip(ceiling * s, CHANCE_MIN, 1 - CHANCE_MIN)
    rest = 1 - chance
    return np.log(chance) - np.log(rest), ceiling * s * (1 - s) / (chance * rest)


def _histogram(x: Floats, weights: Floats) -> Floats:
    """The weights of points, each split between the two logits that it lies between."""
    cells = np.arange(math.prod(x.shape[:-1]))
    flat = len(cells), x.shape[-1]
    points = _Points.of(cells, cells, x.reshape(flat), weights.reshape(flat))
    return points.density().reshape(*x.shape[:-1], len(LOGITS))


def _unheard_of(values: Floats) -> Floats:
    """The variance of examples by the rule of succession: what was never seen may still exist."""
    share = (np.abs(values).sum(axis=0) + 1) / (len(values) + 2)
    return np.asarray(np.maximum(0.0, share * (1 - share)))


def _expected(metric: CountMetric, n: int, passing: Floats) -> Floats:
    """The metric's expectation over n draws, for each probability of passing."""
    counts = np.arange(n + 1)
    values = np.array([metric(int(k), n) for k in counts])
    log_choose = np.cumsum(np.log(np.r_[1.0, (n - counts[:-1]) / (counts[:-1] + 1)]))
    log = (
        log_choose[:, None]
        + counts[:, None] * np.log(passing)
        + (n - counts)[:, None] * np.log1p(-passing)
    )
    return np.asarray(values @ np.exp(log))
