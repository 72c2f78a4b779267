"""Abilities: an item-response model of passing and failing, so that all arms' draws tell of each.

A draw of arm a on example e passes with probability c_a sigmoid(x). The ceiling c_a is for answers
that ignore the asked format; x is the sum of

    kappa(heat) (the arm's lead + the example's ease, for all, for the model and for the template)
    + a curve of the heat + a scatter of the arm on the example.

`kappa` grows as answers get colder: examples are then solved always or never. Effects are normal
with learned scales (`features`, `mixed`); the scatter is integrated out at Gauss-Hermite nodes.
Bayesian logistic regression with crossed random effects, fitted by Laplace's approximation, as in
De Boeck and Wilson 2004 (Explanatory Item Response Models).
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from coordinator import features, mixed
from coordinator.beliefs import Belief, Floats, Outlook
from coordinator.features import Block, Features
from coordinator.kept import Kept
from coordinator.mixed import Effects, Mixed
from coordinator.pool import Pool
from study.config import Arm
from study.metrics import CountMetric
from study.space import SearchSpace

LOGITS: Final[Floats] = np.linspace(-12.0, 12.0, 193)
"""Where beliefs about a chance of passing are kept; a ceiling bends what lies between."""
NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(9)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()
COLDNESS: Final = (0.7, 0.4, 0.2, 0.1)
"""Values of rho tried: kappa(heat) = 1 / (rho + (1 - rho) heat)."""
SCATTERS: Final = (0.4, 0.8)
"""Values tried of the scatter of an arm on an example, in units of the lead."""
SHAPE: Final = (0.2, 0.8)
"""Of both, before anything was seen."""
RESHAPE_GROWTH: Final = 1.5
"""The values are chosen anew when there are so many times the draws of the last time."""
ROUNDS: Final = 2
"""Updates of scales and ceilings in a fit that begins where the last one ended."""
ROUNDS_ANEW: Final = 6
CEILING: Final = 0.92
CEILING_WEIGHT: Final = 12.0
"""The ceiling expected weighs as much as so many draws that would pass without one."""
CEILING_MAX: Final = 0.995
CEILING_ROUNDS: Final = 5
RESHAPE_MIN: Final = 40
AS_GOOD: Final = 1e-4
"""Between values of n that differ by less, the fewer answers."""
CURVATURE_MIN: Final = 1e-6
CHANCE_MIN: Final = 1e-12
EXAMPLE_SCALES: Final = (1.8, 0.5, 0.3)


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
        self._slopes = np.gradient(self._fresh, LOGITS, axis=0)
        self._repeated_slopes = np.gradient(self._repeated, LOGITS, axis=0)
        self._forget()

    @property
    def scale(self) -> float:
        """Metrics of passes are shares."""
        return 1.0

    def fit(self, pools: Sequence[Pool]) -> None:
        """Read all pools; scales and effects begin where they were."""
        draws = sum(pool.draws for pool in pools)
        if draws >= RESHAPE_GROWTH * self._shaped_draws + RESHAPE_MIN:
            self._shaped_draws = draws
            self._reshape(pools)
        self._learn(pools, ROUNDS)

    def fit_anew(self, pools: Sequence[Pool]) -> None:
        """Read all pools as if for the first time."""
        self._forget()
        self._learn(pools, ROUNDS)
        self._reshape(pools)
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
        at, values, slopes = self._values(pools, centre, reach.variance, affordable, versions)
        information = _information(centre, ceilings)
        scatter = (self._scatter(arms) ** 2)[:, None]
        scatter = scatter / (1 + _counts(pools, self._examples).draws * information * scatter)
        shares = slopes / self._examples
        return Outlook(
            at=at,
            means=values.mean(axis=1),
            covariance=reach.covariance(shares) + np.diag((shares**2 * scatter).sum(axis=1)),
            leverage=reach.with_sum(shares) + shares * scatter,
            spread=reach.variance + scatter,
            information=information,
        )

    def belief(self, pool: Pool, version: Kept | None = None) -> Belief:
        """What is believed of an arm, or of its answers cut, for all n."""
        phi, psi = self._columns([pool.arm])
        centre, reach = self._fitted.predict(phi, psi), self._fitted.reach(phi, psi)
        density = self._density([pool], centre, reach.variance)[0]
        worth, bends = self._worth(pool.arm)
        chances = _chances(density, float(self._ceilings([pool.arm])[0]), version)
        each = chances.density @ worth  # [example, quantile, n]
        values = each.mean(axis=1)
        variances = np.maximum(0.0, (chances.density @ worth**2).mean(axis=1) - values**2)
        shares = (chances.leaning @ bends) / self._examples
        information = _information(centre, self._ceilings([pool.arm]))[0]
        scatter = float(self._scatter([pool.arm])[0]) ** 2
        drawn = _counts([pool], self._examples).draws[0]
        scatter_left = scatter / (1 + drawn * information * scatter)
        common = np.einsum("en,ea->na", shares, reach.through[0])
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
        self._groups: dict[tuple[str, int], float] = {}
        self._ceiling = CEILING
        self._effects: Effects | None = None
        self._fitted = self._prior()

    def _prior(self) -> Mixed:
        """What is believed before anything was seen."""
        columns = len(self._features.owner) + len(self._heat.owner)
        return mixed.unseen(columns, len(self._local.owner), examples=self._examples)

    def _reshape(self, pools: Sequence[Pool]) -> None:
        """Choose coldness and scatter by the evidence."""
        seen = [pool for pool in pools if pool.draws]
        if not seen:
            return
        arms, counts = [pool.arm for pool in seen], _counts(seen, self._examples)
        found: list[tuple[float, tuple[float, float]]] = []
        for shape in itertools.product(COLDNESS, SCATTERS):
            self._rho, self._scattered = shape
            self._fit(arms, counts)
            found.append((self._fitted.evidence, shape))
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
        chance = np.asarray(passing @ _WEIGHTS)
        groups: dict[tuple[str, int], list[int]] = {}
        for number, arm in enumerate(arms):
            groups.setdefault((arm.model, arm.template), []).append(number)
        everything = list(range(len(arms)))
        self._ceiling = _ceiling(counts, chance, everything, CEILING)
        for group, members in groups.items():
            self._groups[group] = _ceiling(counts, chance, members, self._ceiling)

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
        return np.array([self._groups.get((a.model, a.template), self._ceiling) for a in arms])

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
        density = self._density(pools, centre, variance)
        ceilings = self._ceilings([pool.arm for pool in pools])
        at: list[int] = []
        values, slopes = np.zeros(centre.shape), np.zeros(centre.shape)
        each = zip(pools, affordable, versions, strict=True)
        for j, (pool, count, version) in enumerate(each):
            worth, bends = self._worth(pool.arm)
            chances = _chances(density[j], float(ceilings[j]), version)
            density_at = chances.density.mean(axis=1)
            curve = density_at.mean(axis=0) @ worth[:, :count]
            at.append(int(np.argmax(curve >= curve.max() - AS_GOOD)))
            values[j] = density_at @ worth[:, at[-1]]
            slopes[j] = chances.leaning @ bends[:, at[-1]]
            if version is not None:
                values[j] -= version.unseen * (values[j] - worth[0, at[-1]])
        return at, values, slopes

    def _density(self, pools: Sequence[Pool], centre: Floats, variance: Floats) -> Floats:
        """[arm, example, logit]: what is believed of the predictor with its scatter."""
        arms = [pool.arm for pool in pools]
        counts = _counts(pools, self._examples)
        ceilings, scatter = self._ceilings(arms), self._scatter(arms)
        first = centre[..., None] + np.sqrt(variance)[..., None] * NODES
        x = first[..., None] + scatter[:, None, None, None] * NODES
        weights = np.broadcast_to(np.log(_WEIGHTS), x.shape).copy()
        rows = [j for j, pool in enumerate(pools) if pool.draws]
        if rows:
            passing = ceilings[rows, None, None, None] / (1 + np.exp(-x[rows]))
            passing = np.clip(passing, 1e-12, 1 - 1e-12)
            k, m = counts.passes[rows][..., None, None], counts.draws[rows][..., None, None]
            weights[rows] += k * np.log(passing) + (m - k) * np.log1p(-passing)
        weights = np.exp(weights - weights.max(axis=-1, keepdims=True))
        weights /= weights.sum(axis=-1, keepdims=True)
        weights *= _WEIGHTS[:, None]
        return _histogram(x.reshape(*centre.shape, -1), weights.reshape(*centre.shape, -1))


class _Passing:
    """The likelihood of counts of passes, scatter integrated out."""

    def __init__(self, counts: _Counts, ceilings: Floats, scatter: Floats) -> None:
        self._k, self._m = counts.passes[..., None], counts.draws[..., None]
        self._ceilings, self._shift = ceilings[:, None, None], scatter[:, None, None] * NODES

    def __call__(self, eta: Floats) -> tuple[float, Floats, Floats]:
        s = 1 / (1 + np.exp(-np.clip(eta[..., None] + self._shift, -40, 40)))
        p = np.clip(self._ceilings * s, 1e-15, 1 - 1e-15)
        k, m = self._k, self._m
        log = np.log(_WEIGHTS) + k * np.log(p) + (m - k) * np.log1p(-p)
        highest = log.max(axis=-1, keepdims=True)
        weights = np.exp(log - highest)
        total = weights.sum(axis=-1, keepdims=True)
        weights /= total
        odd = (m - k) / (1 - p)  # the slope of p is p (1 - s)
        slope = (k - odd * p) * (1 - s)
        bend = -slope * s - odd * p * (1 - s) ** 2 * (1 + p / (1 - p))
        first = (weights * slope).sum(axis=-1)
        second = (weights * (bend + slope**2)).sum(axis=-1) - first**2
        drawn = self._m[..., 0] > 0
        value = float((highest + np.log(total))[..., 0][drawn].sum())
        return (
            value,
            np.where(drawn, first, 0.0),
            np.where(drawn, np.maximum(-second, CURVATURE_MIN), 0.0),
        )


def _lead_features(space: SearchSpace) -> Features:
    models = features.indicator(space.models, features.model_of)
    templates = features.indicator(range(len(space.templates)), features.template_of)
    return Features(
        [
            Block(name="constant", columns=features.constant, scale=1.5),
            Block(name="model", columns=models, scale=1.2),
            Block(name="template", columns=templates, scale=0.4),
            Block(name="both", columns=features.together(models, templates), scale=0.4),
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
    ease, of_model, of_template = EXAMPLE_SCALES
    return Features(
        [
            Block(name="ease", columns=features.constant, scale=ease),
            Block(name="ease for model", columns=models, scale=of_model),
            Block(name="ease for template", columns=templates, scale=of_template),
        ],
        space,
    )


def _counts(pools: Sequence[Pool], examples: int) -> _Counts:
    draws, passes = np.zeros((len(pools), examples)), np.zeros((len(pools), examples))
    for j, pool in enumerate(pools):
        if pool.draws:
            draws[j] = [cell.draws for cell in pool.cells]
            passes[j] = [cell.passes for cell in pool.cells]
    return _Counts(draws=draws, passes=passes)


def _ceiling(counts: _Counts, chance: Floats, arms: list[int], expected: float) -> float:
    """Expectation maximisation: which of the fails were in the asked format."""
    k, m, s = counts.passes[arms], counts.draws[arms], chance[arms]
    ceiling = expected
    for _ in range(CEILING_ROUNDS):
        kept = k + (m - k) * ceiling * (1 - s) / np.maximum(1 - ceiling * s, 1e-9)
        ceiling = (float(kept.sum()) + CEILING_WEIGHT * expected) / (
            float(m.sum()) + CEILING_WEIGHT
        )
    return min(ceiling, CEILING_MAX)


def _chances(density: Floats, ceiling: float, version: Kept | None) -> _Chances:
    """What is believed of predictors, read as chances under a ceiling, and after a cut."""
    s = 1 / (1 + np.exp(-LOGITS))
    below = np.array([[ceiling * s]])  # [example, quantile, logit]
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
    p = np.minimum(ceilings[:, None] * s, 1 - 1e-12)
    return np.asarray(p * (1 - s) ** 2 / (1 - p))


def _histogram(x: Floats, weights: Floats) -> Floats:
    """The weights of points, each split between the two logits that it lies between."""
    cells = int(np.prod(x.shape[:-1]))
    place = (np.clip(x, LOGITS[0], LOGITS[-1]) - LOGITS[0]) / (LOGITS[1] - LOGITS[0])
    below = np.minimum(place.astype(np.intp), len(LOGITS) - 2)
    share = place - below
    flat = (below.reshape(cells, -1) + len(LOGITS) * np.arange(cells)[:, None]).ravel()
    size = cells * len(LOGITS)
    density = np.bincount(flat, (weights * (1 - share)).ravel(), size)
    density += np.bincount(flat + 1, (weights * share).ravel(), size + 1)[:size]
    return np.asarray(density.reshape(*x.shape[:-1], len(LOGITS)), dtype=float)


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
