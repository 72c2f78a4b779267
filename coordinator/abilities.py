"""Abilities: an item-response model of passing and failing, so that all arms' draws tell of each.

A draw of arm a on example e passes with probability sigmoid(x), where x is normal around
`ability_a + spread_a * ease_e` with a standard deviation of `OWN_SPREAD * spread_a`. Ease is
standard normal; a wide spread makes examples bimodal (solved always or never), as low temperatures
do. Everything lives on small grids and is learned by belief propagation between arms and examples
(each arm tells each example what it thinks of its ease, and hears what all the others think), one
arm at a time: a result costs about a millisecond, whatever the number of arms.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from coordinator.beliefs import Belief, Floats
from coordinator.kinship import Kinship
from coordinator.pool import Pool
from study.config import Arm
from study.metrics import CountMetric

LOGITS: Final[Floats] = np.linspace(-8.0, 8.0, 65)
EASE: Final[Floats] = np.linspace(-2.5, 2.5, 11)
ABILITY: Final[Floats] = np.linspace(-6.0, 6.0, 17)
SPREAD: Final[Floats] = np.array([1.0, 2.0, 3.5, 6.0])
OWN_SPREAD: Final = 0.6
"""How much an example's ease for one arm differs from its ease for all, in spreads."""
IMPOSSIBLE: Final = 0.04
"""The share of examples that an arm never passes for a reason of its own: cut answers, a format."""
REFITS: Final = 2
"""Rounds of messages in a refit; they change little after the second."""
ANCHORS: Final = 4
"""Values of n at which the errors that arise from ability and spread are worked out."""
TINY: Final = 1e-30

_ABILITY, _SPREAD = (grid.ravel() for grid in np.meshgrid(ABILITY, SPREAD, indexing="ij"))
_SPREAD_INDEX = np.tile(np.arange(len(SPREAD)), len(ABILITY))
_CENTRE = np.clip(
    np.rint((_ABILITY[:, None] + _SPREAD[:, None] * EASE - LOGITS[0]) / (LOGITS[1] - LOGITS[0])),
    0,
    len(LOGITS) - 1,
).astype(int)
_PRIOR: Floats = -0.5 * (_ABILITY / 2.5) ** 2
_EASE_PRIOR: Floats = -0.5 * EASE**2


def _smoothing() -> Floats:
    """[spread, centre, logit]: how the logit of one arm scatters around its centre."""
    width = OWN_SPREAD * SPREAD[:, None, None]
    kernel = np.exp(-0.5 * ((LOGITS - LOGITS[:, None]) / width) ** 2)
    kernel *= (1.0 - IMPOSSIBLE) / kernel.sum(axis=2, keepdims=True)
    kernel[:, :, 0] += IMPOSSIBLE
    return np.asarray(kernel)


_SMOOTHING: Final = _smoothing()
_FLAT: Final = _SMOOTHING.reshape(-1, len(LOGITS))
_SCATTER = np.zeros((_CENTRE.size, len(SPREAD) * len(LOGITS)))
_SCATTER[np.arange(_CENTRE.size), (_SPREAD_INDEX[:, None] * len(LOGITS) + _CENTRE).ravel()] = 1.0


@dataclass
class _Arm:
    """What is kept of an arm.

    Its evaluated examples, their likelihoods, what it told them, and the weights of abilities and
    spreads: with what its kin say beforehand, and without (what it says to kin itself, lest they
    hear their own echo).
    """

    pool: Pool
    rows: "np.ndarray[tuple[int], np.dtype[np.intp]]"
    likelihood: Floats
    told: Floats
    weights: Floats
    alone: Floats


class Abilities:
    """Learns abilities, spreads and eases from pools of passes.

    Args:
        metric: of (passes, n); larger is better.
        n: the values of n, ascending.
        examples: how many tuning examples there are.
    """

    def __init__(self, metric: CountMetric, *, n: tuple[int, ...], examples: int) -> None:
        self._examples = examples
        self._ease = np.tile(_EASE_PRIOR, (examples, 1))
        self._arms: list[_Arm] = []
        self._kinship = Kinship()
        passing = 1 / (1 + np.exp(-LOGITS))
        self._fresh = np.stack([_expected(metric, k, passing) for k in n], axis=1)
        self._repeated = np.stack(
            [passing * metric(k, k) + (1 - passing) * metric(0, k) for k in n], axis=1
        )
        self._passing = passing
        self._anchors = np.unique(np.geomspace(1, len(n), ANCHORS).astype(int) - 1)

    @property
    def scale(self) -> float:
        """Metrics of passes are shares."""
        return 1.0

    @property
    def ceiling(self) -> float:
        """The best that any arm can be."""
        return float(self._fresh.max())

    def add(self, pool: Pool) -> None:
        """Take an arm in."""
        prior = self._prior(pool.arm)
        self._kinship.add(pool.arm)
        self._arms.append(
            _Arm(
                pool=pool,
                rows=np.zeros(0, dtype=np.intp),
                likelihood=np.zeros((0, len(LOGITS))),
                told=np.zeros((self._examples, len(EASE))),
                weights=prior,
                alone=_normalised(_PRIOR),
            )
        )

    def update(self, number: int) -> None:
        """Read an arm's pool again: it hears the examples, and tells them what is new."""
        arm = self._arms[number]
        cells = [(i, cell) for i, cell in enumerate(arm.pool.cells) if cell.draws]
        arm.rows = np.array([i for i, _ in cells], dtype=np.intp)
        passes = np.array([cell.passes for _, cell in cells], dtype=float)[:, None]
        fails = np.array([cell.draws for _, cell in cells], dtype=float)[:, None] - passes
        log = passes * np.log(self._passing) + fails * np.log1p(-self._passing)
        arm.likelihood = np.exp(log - log.max(axis=1, keepdims=True))
        heard, _, at_points = self._hear(arm)
        evidence = np.log(heard).sum(axis=0)
        arm.alone = _normalised(_PRIOR + evidence)
        arm.weights = _normalised(np.log(self._prior(arm.pool.arm, but=number) + TINY) + evidence)
        told = np.log(np.einsum("ek,ekd->ed", arm.weights / heard, at_points) + TINY)
        told -= told.max(axis=1, keepdims=True)
        self._ease[arm.rows] += told - arm.told[arm.rows]
        arm.told[arm.rows] = told
        self._kinship.learn(number, arm.pool.draws)

    def refit(self) -> None:
        """Forget all messages and send them anew."""
        self._ease = np.tile(_EASE_PRIOR, (self._examples, 1))
        self._kinship.forget()
        for arm in self._arms:
            arm.told[:] = 0.0
        for _ in range(REFITS):
            for number, arm in enumerate(self._arms):
                if arm.pool.draws:
                    self.update(number)

    def belief(self, number: int) -> Belief:
        """What is believed of an arm, from its draws and from what others say of its examples."""
        arm = self._arms[number]
        if not len(arm.rows):
            return self.forecast(arm.pool.arm)
        heard, ease, _ = self._hear(arm)
        paths = ((arm.weights / heard)[:, :, None] * ease[:, None, :]).reshape(len(arm.rows), -1)
        seen = (paths @ _SCATTER @ _FLAT) * arm.likelihood
        seen /= seen.sum(axis=1, keepdims=True)
        unseen = np.setdiff1d(np.arange(self._examples), arm.rows)
        worth = self._worth(arm.pool.arm)
        centre = _SMOOTHING @ worth[:, self._anchors]
        by_point = np.einsum(
            "kdn,d->kn",
            centre[_SPREAD_INDEX[:, None], _CENTRE],
            _normalised(self._ease[unseen]).sum(axis=0),
        )
        weighted = arm.likelihood[:, None, :] * worth[:, self._anchors].T
        of_seen = np.tensordot(weighted, _SMOOTHING, axes=(2, 2))[
            :, :, _SPREAD_INDEX[:, None], _CENTRE
        ]
        by_point += (
            ((of_seen @ ease[:, None, :, None])[:, :, :, 0] / heard[:, None, :]).sum(axis=0).T
        )
        logits = np.concatenate([seen, self._unseen(arm.weights, unseen)])
        return self._summary(logits, worth, arm.weights, by_point / self._examples)

    def forecast(self, arm: Arm) -> Belief:
        """What is expected of an arm, from its kin."""
        weights, worth = self._prior(arm), self._worth(arm)
        centre = _SMOOTHING @ worth[:, self._anchors]
        ease = _normalised(self._ease).mean(axis=0)
        by_point = np.einsum("kdn,d->kn", centre[_SPREAD_INDEX[:, None], _CENTRE], ease)
        logits = self._unseen(weights, np.arange(self._examples))
        return self._summary(logits, worth, weights, by_point)

    def _worth(self, arm: Arm) -> Floats:
        return self._repeated if arm.repeats_itself else self._fresh

    def _prior(self, arm: Arm, *, but: int | None = None) -> Floats:
        """The weights of abilities and spreads before any draw of the arm: those of its kin."""
        base = _normalised(_PRIOR)
        shares, own = self._kinship.shares(arm, but=but)
        if not len(shares):
            return np.asarray(base)
        kin = shares @ np.stack([other.alone for other in self._arms])
        return np.asarray(own * base + _blurred(kin))

    def _hear(self, arm: _Arm) -> tuple[Floats, Floats, Floats]:
        """What the examples tell an arm: evidence [e, k], ease without the arm [e, d], and L."""
        ease = _normalised(self._ease[arm.rows] - arm.told[arm.rows])
        smooth = np.einsum("ez,scz->esc", arm.likelihood, _SMOOTHING, optimize=True)
        at_points = smooth[:, _SPREAD_INDEX[:, None], _CENTRE]
        heard = np.einsum("ekd,ed->ek", at_points, ease) + TINY
        return heard, ease, at_points

    def _unseen(self, weights: Floats, rows: "np.ndarray[tuple[int], np.dtype[np.intp]]") -> Floats:
        """[e, logit]: what is expected of examples that the arm has no draws of."""
        ease = _normalised(self._ease[rows])
        by_ease = np.tensordot(weights, _SCATTER.reshape(len(weights), len(EASE), -1), axes=1)
        return np.asarray(ease @ by_ease @ _FLAT)

    def _summary(self, logits: Floats, worth: Floats, weights: Floats, means: Floats) -> Belief:
        """From the logits of each example [e, z], and the mean for each ability and spread [k, n].

        Not knowing ability and spread moves all examples together; the rest, each alone.
        """
        values = logits @ worth
        variances = np.maximum(0.0, logits @ worth**2 - values**2)
        between = (values.var(axis=0) + variances.mean(axis=0) + _unheard_of(values)) / 2
        together = weights @ (means - weights @ means) ** 2
        together = np.interp(np.arange(worth.shape[1]), self._anchors, together)
        return Belief(
            means=values.mean(axis=0),
            draw_errors=np.sqrt(variances.mean(axis=0) / self._examples + together),
            example_errors=np.sqrt(between / self._examples),
        )


def _unheard_of(values: Floats) -> Floats:
    """The variance of examples by the rule of succession: what was never seen may still exist."""
    share = (np.abs(values).sum(axis=0) + 1) / (len(values) + 2)
    return np.asarray(np.maximum(0.0, share * (1 - share)))


def _normalised(logs: Floats) -> Floats:
    weights = np.exp(logs - logs.max(axis=-1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True))


def _blurred(weights: Floats) -> Floats:
    """Kin are alike, not equal: a quarter of the weight moves to either neighbouring ability."""
    grid = weights.reshape(len(ABILITY), len(SPREAD))
    padded = np.pad(grid, ((1, 1), (0, 0)), mode="edge")
    blurred = 0.5 * grid + 0.25 * (padded[:-2] + padded[2:])
    padded = np.pad(blurred, ((0, 0), (1, 1)), mode="edge")
    return np.asarray((0.7 * blurred + 0.15 * (padded[:, :-2] + padded[:, 2:])).ravel())


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
