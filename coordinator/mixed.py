"""Mixed: the posterior of a mixed-effects model, effects of arms beside effects of examples.

What is seen of arm a on example e depends on a linear predictor, phi_a . w + psi_a . v_e, with w common
to all and a v_e for each example, all standard normal beforehand (scales are in phi and psi). Given
w the examples are independent of each other, so the Hessian is a band of small blocks with a border:
its Schur complement is as small as w, and a fit costs time in proportion to arms times examples.
Newton's method finds the mode; the posterior is taken as normal around it (Laplace).

Where arms are fewer than the columns of phi, w is looked at in a basis of what phi spans: of what lies
across it nothing is learned. A Hessian is made anew only where the last one leads too slowly to the mode.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, solve_triangular

from coordinator.features import Floats

ROUNDS_MAX: Final = 12
HALVINGS_MAX: Final = 5
SCALE_WEIGHT: Final = 4.0
"""What is expected of a scale beforehand weighs as much as so many effects."""
CONVERGED: Final = 1e-4
"""The largest change of the linear predictor in a round."""
FAST: Final = 0.2
"""A step that shrinks at least to this share of the last one is followed by one with the same Hessian."""

Likelihood = Callable[[Floats], tuple[float, Floats, Floats]]
"""From predictors [arm, example] to the log-likelihood, its slopes, and its (negated) curvatures."""


@dataclass(frozen=True, kw_only=True)
class Effects:
    """The modes of w [column] and of v [example, column]."""

    w: Floats
    v: Floats


@dataclass(frozen=True, kw_only=True)
class Hessian:
    """Of the negated log-posterior, at some curvatures.

    Args:
        weights: the curvatures, [arm, example].
        blocks: the inverses of the examples' blocks, [example, q, q].
        border: between those and w, [example, q, column].
        factor: the Cholesky factor of the Schur complement of w.
    """

    weights: Floats
    blocks: Floats
    border: Floats
    factor: tuple[Floats, bool]

    @classmethod
    def at(cls, weights: Floats, phi: Floats, psi: Floats) -> Self:
        """Make it."""
        (examples, arms), (q, columns) = weights.T.shape, (psi.shape[1], phi.shape[1])
        crossed = (weights.T[:, None, :] * psi.T).reshape(examples * q, arms)
        blocks = np.asarray(
            np.linalg.inv(np.eye(q) + (crossed @ psi).reshape(examples, q, q)), float
        )
        border = (crossed @ phi).reshape(examples, q, columns)
        schur = np.eye(columns) + phi.T @ (weights.sum(axis=1)[:, None] * phi)
        bent = (blocks @ border).reshape(examples * q, columns)
        schur -= border.reshape(examples * q, columns).T @ bent
        factor = cho_factor(0.5 * (schur + schur.T), lower=True, check_finite=False)
        return cls(weights=weights, blocks=blocks, border=border, factor=factor)

    def step(self, of_w: Floats, of_v: Floats) -> Effects:
        """Where such slopes lead."""
        eased = (self.blocks @ of_v[..., None])[..., 0]
        w = cho_solve(self.factor, of_w - np.tensordot(eased, self.border, 2), check_finite=False)
        v = eased - (self.blocks @ (self.border @ w)[..., None])[..., 0]
        return Effects(w=w, v=v)


class Mixed:
    """A posterior. Make it with `fit`.

    Args:
        effects: the modes.
        basis: orthonormal rows that span those of phi, [row, column]; None: w is not reduced.
        hessian: at the mode, w in that basis.
        log_likelihood: at the mode.
    """

    def __init__(
        self, effects: Effects, basis: Floats | None, hessian: Hessian, log_likelihood: float
    ) -> None:
        self.effects = effects
        self._basis, self._hessian, self._log_likelihood = basis, hessian, log_likelihood

    @property
    def evidence(self) -> float:
        """The logarithm of the marginal likelihood, by Laplace's approximation."""
        squares = float((self.effects.w**2).sum() + (self.effects.v**2).sum())
        determinant = 2.0 * float(np.log(np.diag(self._hessian.factor[0])).sum())
        determinant -= float(np.linalg.slogdet(self._hessian.blocks)[1].sum())
        return float(self._log_likelihood - 0.5 * squares - 0.5 * determinant)

    @property
    def second_moments(self) -> tuple[Floats, Floats]:
        """The expected squares of w [column] and of v's columns, averaged over the examples."""
        blocks, factor = self._hessian.blocks, self._hessian.factor
        inverse = cho_solve(factor, np.eye(len(factor[0])), check_finite=False)
        lean = blocks @ self._hessian.border  # [example, q, column]
        flat = lean.reshape(-1, len(inverse))
        spread = ((flat @ inverse) * flat).sum(axis=1).reshape(lean.shape[:2])
        spread += np.diagonal(blocks, axis1=1, axis2=2)
        left = np.diag(inverse)
        if self._basis is not None:
            known = np.eye(len(inverse)) - inverse
            left = 1 - ((known @ self._basis) * self._basis).sum(axis=0)
        return self.effects.w**2 + left, (self.effects.v**2 + spread).mean(axis=0)

    def predict(self, phi: Floats, psi: Floats) -> Floats:
        """The mean of the predictor, [arm, example]."""
        return _predicted(self.effects, phi, psi)

    def reach(self, phi: Floats, psi: Floats) -> "Reach":
        """How uncertain the predictors of some arms are, and what they have in common."""
        within, across = phi, np.zeros((len(phi), 0))
        if self._basis is not None:
            within = phi @ self._basis.T
            across = phi - within @ self._basis
        local = (self._hessian.blocks @ psi.T).transpose(2, 0, 1)
        adapted = (local.transpose(1, 0, 2) @ self._hessian.border).transpose(1, 0, 2)
        return Reach(
            own=(local * psi[:, None, :]).sum(axis=2),
            local=local,
            psi=psi,
            through=within[:, None, :] - adapted,
            factor=self._hessian.factor,
            across=across,
        )


@dataclass(frozen=True, kw_only=True)
class Reach:
    """Covariances of predictors: within an example's own effects, and through those common to all.

    `through` is [arm, example, column]: how predictors depend on w, in the basis, once the examples'
    effects have adapted; `factor` is of the inverse covariance of that w. `across` is [arm, column], of the
    w across the basis, which is white. `local` and `psi` give the covariance by way of one example's v.
    """

    own: Floats
    local: Floats
    psi: Floats
    through: Floats
    factor: tuple[Floats, bool]
    across: Floats

    @property
    def variance(self) -> Floats:
        """[arm, example] of the predictors."""
        rows = self.through.reshape(math.prod(self.through.shape[:2]), self.through.shape[2])
        common = (self._whitened(rows) ** 2).sum(axis=1).reshape(self.own.shape)
        return np.asarray(self.own + common + (self.across**2).sum(axis=1)[:, None])

    def common(self, slopes: Floats) -> Floats:
        """[arm, column]: weighted sums of each arm's predictors, as far as they go by way of w.

        The inner product of two rows is their covariance.
        """
        through = self._whitened((slopes[:, None, :] @ self.through)[:, 0])
        return np.hstack([through, slopes.sum(axis=1)[:, None] * self.across])

    def covariance(self, slopes: Floats) -> Floats:
        """[arm, arm] of weighted sums of each arm's predictors over the examples."""
        common = self.common(slopes)
        weighted = (slopes[:, :, None] * self.local).reshape(len(slopes), -1)
        own = (slopes[:, :, None] * self.psi[:, None, :]).reshape(len(slopes), -1)
        local = weighted @ own.T
        return np.asarray(common @ common.T + 0.5 * (local + local.T))

    def with_sum(self, slopes: Floats) -> Floats:
        """[arm, example]: of each predictor with the weighted sum of its own arm's predictors."""
        sums = (slopes[:, None, :] @ self.through)[:, 0]
        solved = cho_solve(self.factor, sums.T, check_finite=False).T
        by_w = (self.through @ solved[..., None])[..., 0]
        by_w += slopes.sum(axis=1)[:, None] * (self.across**2).sum(axis=1)[:, None]
        return np.asarray(by_w + slopes * self.own)

    def _whitened(self, rows: Floats) -> Floats:
        """Rows whose inner products are the covariances."""
        return np.asarray(
            solve_triangular(self.factor[0], rows.T, lower=True, check_finite=False).T
        )


def fit(
    phi: Floats, psi: Floats, likelihood: Likelihood, *, examples: int, start: Effects | None = None
) -> Mixed:
    """Find the mode by damped Newton steps.

    Args:
        phi: [arm, column], scaled.
        psi: [arm, column of the examples' effects], scaled.
        likelihood: of the predictors.
        examples: how many there are.
        start: where to begin.
    """
    basis = None
    if len(phi) < phi.shape[1]:
        basis = np.linalg.qr(phi.T)[0].T
        phi = phi @ basis.T
    effects = Effects(w=np.zeros(phi.shape[1]), v=np.zeros((examples, psi.shape[1])))
    if start is not None:
        effects = Effects(w=start.w if basis is None else basis @ start.w, v=start.v)
    eta = _predicted(effects, phi, psi)
    value, slopes, weights = likelihood(eta)
    hessian, change = Hessian.at(weights, phi, psi), math.inf
    for _ in range(ROUNDS_MAX):
        step = hessian.step(phi.T @ slopes.sum(axis=1) - effects.w, slopes.T @ psi - effects.v)
        share = 1.0
        for _ in range(HALVINGS_MAX):
            moved = Effects(w=effects.w + share * step.w, v=effects.v + share * step.v)
            eta_moved = _predicted(moved, phi, psi)
            found = likelihood(eta_moved)
            if _penalised(found[0], moved) >= _penalised(value, effects) - 1e-9:
                break
            share /= 2
        last, change = change, float(np.abs(eta_moved - eta).max(initial=0.0))
        effects, eta, (value, slopes, weights) = moved, eta_moved, found
        if change < CONVERGED:
            break
        if share < 1 or change > FAST * last:
            hessian = _renewed(hessian, weights, phi, psi)
    hessian = _renewed(hessian, weights, phi, psi)
    if basis is not None:
        effects = Effects(w=effects.w @ basis, v=effects.v)
    return Mixed(effects, basis, hessian, value)


def _renewed(hessian: Hessian, weights: Floats, phi: Floats, psi: Floats) -> Hessian:
    """The Hessian at other curvatures, unless they are the same."""
    if np.array_equal(weights, hessian.weights):
        return hessian
    return Hessian.at(weights, phi, psi)


def _predicted(effects: Effects, phi: Floats, psi: Floats) -> Floats:
    return np.asarray((phi @ effects.w)[:, None] + psi @ effects.v.T)


def _penalised(value: float, effects: Effects) -> float:
    return value - 0.5 * float((effects.w**2).sum() + (effects.v**2).sum())


def normal(target: Floats, weights: Floats) -> Likelihood:
    """The likelihood of values with normal noise, of which `weights` are the inverse variances."""

    def likelihood(eta: Floats) -> tuple[float, Floats, Floats]:
        rest = target - eta
        return -0.5 * float((weights * rest**2).sum()), weights * rest, weights

    return likelihood


def unseen(columns: int, local: int, *, examples: int) -> Mixed:
    """What is believed before anything was seen."""
    nothing = np.zeros((0, columns)), np.zeros((0, local))
    return fit(*nothing, lambda eta: (0.0, eta, eta), examples=examples)


def rescaled(
    scales: list[float],
    defaults: list[float],
    moments: Floats,
    owner: NDArray[np.intp],
    repeated: int,
) -> tuple[list[float], Floats]:
    """A step of expectation maximisation for the scales of effects.

    Args:
        scales: of the blocks.
        defaults: what was expected of them.
        moments: [column] the expected squares of the effects, in units of their scales.
        owner: [column] whose block it is.
        repeated: for how many examples there is one of each column.

    Returns:
        The new scales, and by how much each column grew.
    """
    found, stretch = [], np.ones(len(owner))
    for block, (scale, default) in enumerate(zip(scales, defaults, strict=True)):
        columns = owner == block
        count = repeated * int(columns.sum())
        total = scale**2 * repeated * float(moments[columns].sum()) + SCALE_WEIGHT * default**2
        found.append(math.sqrt(total / (count + SCALE_WEIGHT)))
        stretch[columns] = found[-1] / scale
    return found, stretch
