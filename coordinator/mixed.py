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
from functools import cached_property
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular

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
        roots: the inverses of the Cholesky factors of the examples' blocks, [example, q, q].
        border: what lies between those and w, times the roots, [example, q, column].
        factor: the Cholesky factor of the Schur complement of w.
    """

    weights: Floats
    roots: Floats
    border: Floats
    factor: Floats

    @classmethod
    def at(cls, weights: Floats, phi: Floats, psi: Floats) -> Self:
        """Make it."""
        (examples, columns), q = (len(weights.T), phi.shape[1]), psi.shape[1]
        both = np.hstack([phi, psi])
        crossed = np.zeros((examples, q, columns + q))
        for i, column in enumerate(psi.T):  # most arms have no part in most columns
            arms = np.flatnonzero(column)
            crossed[:, i] = (weights[arms].T * column[arms]) @ both[arms]
        blocks = np.eye(q) + crossed[:, :, columns:]
        roots = np.asarray(np.linalg.inv(np.linalg.cholesky(blocks)), float)
        border = roots @ crossed[:, :, :columns]
        flat = border.reshape(examples * q, columns)
        schur = np.eye(columns) + phi.T @ (weights.sum(axis=1)[:, None] * phi) - flat.T @ flat
        factor = cholesky(0.5 * (schur + schur.T), lower=True, check_finite=False)
        return cls(weights=weights, roots=roots, border=border, factor=factor)

    def step(self, of_w: Floats, of_v: Floats) -> Effects:
        """Where such slopes lead."""
        eased = (self.roots @ of_v[..., None])[..., 0]
        of_w = of_w - np.tensordot(eased, self.border, 2)
        w = cho_solve((self.factor, True), of_w, check_finite=False)
        eased -= self.border @ w
        return Effects(w=w, v=(eased[:, None, :] @ self.roots)[:, 0])

    @cached_property
    def whitened(self) -> Floats:
        """The border in coordinates in which w is white, [example, q, column]."""
        examples, q, columns = self.border.shape
        flat = self.border.reshape(examples * q, columns)
        return _whitened(self.factor, flat).reshape(self.border.shape)


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

    def __deepcopy__(self, _: object) -> Self:
        return self  # nothing of it ever changes

    @property
    def evidence(self) -> float:
        """The logarithm of the marginal likelihood, by Laplace's approximation."""
        squares = float((self.effects.w**2).sum() + (self.effects.v**2).sum())
        determinant = 2.0 * float(np.log(np.diag(self._hessian.factor)).sum())
        diagonals = np.diagonal(self._hessian.roots, axis1=1, axis2=2)
        determinant -= 2.0 * float(np.log(diagonals).sum())
        return float(self._log_likelihood - 0.5 * squares - 0.5 * determinant)

    @property
    def second_moments(self) -> tuple[Floats, Floats]:
        """The expected squares of w [column] and of v's columns, averaged over the examples."""
        roots, factor = self._hessian.roots, self._hessian.factor
        spread = ((roots.transpose(0, 2, 1) @ self._hessian.whitened) ** 2).sum(axis=2)
        spread += (roots**2).sum(axis=1)
        inverse = cho_solve((factor, True), np.eye(len(factor)), check_finite=False)
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
        return Reach(
            local=self._hessian.roots @ psi.T,
            within=_whitened(self._hessian.factor, within),
            border=self._hessian.whitened,
            across=across,
        )


@dataclass(frozen=True, kw_only=True)
class Reach:
    """Covariances of predictors: within an example's own effects, and through those common to all.

    All in coordinates in which effects are white. A predictor depends on an example's own ones by way of
    `local`, [example, q, arm]; on w, in the basis, by way of `within`, [arm, column], less what the example's
    effects take back, which is `local` times `border`, [example, q, column]; and on the w across the basis by
    way of `across`, [arm, column].
    """

    local: Floats
    within: Floats
    border: Floats
    across: Floats

    @property
    def own(self) -> Floats:
        """[arm, example]: the variance of the predictors that is of the example's own effects."""
        return np.asarray((self.local**2).sum(axis=1).T)

    @property
    def variance(self) -> Floats:
        """[arm, example] of the predictors."""
        taken = np.eye(self.border.shape[1]) + self.border @ self.border.transpose(0, 2, 1)
        by_example = taken @ self.local - 2 * self._by_border(self.within)
        alike = (self.within**2).sum(axis=1) + (self.across**2).sum(axis=1)
        return np.asarray((by_example * self.local).sum(axis=1).T + alike[:, None])

    def common(self, slopes: Floats) -> Floats:
        """[arm, column]: weighted sums of each arm's predictors, as far as they go by way of w.

        The inner product of two rows is their covariance. Of one arm there may be many sums.
        """
        sums = slopes.sum(axis=1)[:, None]
        return np.hstack([self._through(slopes), sums * self.across])

    def covariance(self, slopes: Floats) -> Floats:
        """[arm, arm] of weighted sums of each arm's predictors over the examples."""
        common = self.common(slopes)
        local = self._weighted(slopes)
        return np.asarray(common @ common.T + local.T @ local)

    def with_sum(self, slopes: Floats) -> Floats:
        """[arm, example]: of each predictor with the weighted sum of its own arm's predictors."""
        through, sums = self._through(slopes), slopes.sum(axis=1)
        alike = (through * self.within).sum(axis=1) + sums * (self.across**2).sum(axis=1)
        by_example = slopes.T[:, None, :] * self.local - self._by_border(through)
        return np.asarray((by_example * self.local).sum(axis=1).T + alike[:, None])

    def _through(self, slopes: Floats) -> Floats:
        """[arm, column]: weighted sums of how predictors depend on w, in the basis."""
        examples, q, columns = self.border.shape
        if self.local.shape[2] == 1:
            return np.asarray(slopes @ (self.within - (self.local.mT @ self.border)[:, 0]))
        taken = self._weighted(slopes).T @ self.border.reshape(examples * q, columns)
        return np.asarray(slopes.sum(axis=1)[:, None] * self.within - taken)

    def _weighted(self, slopes: Floats) -> Floats:
        """[example and q, arm]: how the weighted sums depend on the examples' own effects."""
        weighted = slopes.T[:, None, :] * self.local
        examples, q, sums = weighted.shape
        return weighted.reshape(examples * q, sums)

    def _by_border(self, rows: Floats) -> Floats:
        """[example, q, arm]: the inner products of the border with a row of each arm."""
        examples, q, columns = self.border.shape
        flat = self.border.reshape(examples * q, columns) @ rows.T
        return np.asarray(flat.reshape(examples, q, len(rows)))


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


def _whitened(factor: Floats, rows: Floats) -> Floats:
    """Rows whose inner products are the covariances."""
    return np.asarray(solve_triangular(factor, rows.T, lower=True, check_finite=False).T)


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
