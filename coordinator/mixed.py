"""Mixed: the posterior of a mixed-effects model, effects of arms beside effects of examples.

What is seen of arm a on example e depends on a linear predictor, phi_a . w + psi_a . v_e, with w common
to all and a v_e for each example, all standard normal beforehand (scales are in phi and psi). Given
w the examples are independent of each other, so the Hessian is a band of small blocks with a border:
its Schur complement is as small as w, and a fit costs time in proportion to arms times examples.
Newton's method finds the mode; the posterior is taken as normal around it (Laplace).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

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

Likelihood = Callable[[Floats], tuple[float, Floats, Floats]]
"""From predictors [arm, example] to the log-likelihood, its slopes, and its (negated) curvatures."""


@dataclass(frozen=True, kw_only=True)
class Effects:
    """The modes of w [column] and of v [example, column]."""

    w: Floats
    v: Floats


class Mixed:
    """A posterior. Make it with `fit`.

    Args:
        effects: the modes.
        phi: [arm, column] of the arms it was fitted to.
        psi: the same of the examples' columns.
        weights: the curvatures at the mode, [arm, example].
        log_likelihood: at the mode.
    """

    def __init__(
        self, effects: Effects, phi: Floats, psi: Floats, weights: Floats, log_likelihood: float
    ) -> None:
        self.effects = effects
        self._blocks, self._border, self._schur = _hessian(phi, psi, weights)
        self._factor = cho_factor(self._schur, lower=True)
        self._log_likelihood = log_likelihood

    @property
    def evidence(self) -> float:
        """The logarithm of the marginal likelihood, by Laplace's approximation."""
        squares = float((self.effects.w**2).sum() + (self.effects.v**2).sum())
        determinant = 2.0 * float(np.log(np.diag(self._factor[0])).sum())
        determinant -= float(np.linalg.slogdet(self._blocks)[1].sum())
        return float(self._log_likelihood - 0.5 * squares - 0.5 * determinant)

    @property
    def second_moments(self) -> tuple[Floats, Floats]:
        """The expected squares of w [column] and of v's columns, averaged over the examples."""
        inverse = cho_solve(self._factor, np.eye(len(self._schur)))
        of_w = self.effects.w**2 + np.diag(inverse)
        lean = np.matmul(self._blocks, self._border.transpose(0, 2, 1))
        spread = np.diagonal(self._blocks, axis1=1, axis2=2)
        spread = spread + np.einsum("eqa,ab,eqb->eq", lean, inverse, lean, optimize=True)
        return of_w, (self.effects.v**2 + spread).mean(axis=0)

    def predict(self, phi: Floats, psi: Floats) -> Floats:
        """The mean of the predictor, [arm, example]."""
        return _predicted(self.effects, phi, psi)

    def reach(self, phi: Floats, psi: Floats) -> "Reach":
        """How uncertain the predictors of some arms are, and what they have in common."""
        return Reach(
            own=np.einsum("jq,eqr,jr->je", psi, self._blocks, psi, optimize=True),
            local=np.einsum("eqr,jr->jeq", self._blocks, psi),
            psi=psi,
            through=_solved(self._factor, self._led(phi, psi)),
        )

    def _led(self, phi: Floats, psi: Floats) -> Floats:
        """[arm, example, column]: what is left of phi once the examples' effects have adapted."""
        lean = np.matmul(self._border, self._blocks)
        adapted = np.einsum("eaq,jq->jea", lean, psi, optimize=True)
        return np.asarray(phi[:, None, :] - adapted)


@dataclass(frozen=True, kw_only=True)
class Reach:
    """Covariances of predictors: within an example's own effects, and through those common to all.

    `through` is [arm, example, column], whitened: the inner product of two rows is the covariance
    of two predictors by way of w; `local` and `psi` give that by way of one example's v.
    """

    own: Floats
    local: Floats
    psi: Floats
    through: Floats

    @property
    def variance(self) -> Floats:
        """[arm, example] of the predictors."""
        return np.asarray(self.own + (self.through**2).sum(axis=2))

    def covariance(self, slopes: Floats) -> Floats:
        """[arm, arm] of weighted sums of each arm's predictors over the examples."""
        common = np.einsum("je,jea->ja", slopes, self.through)
        weighted = slopes[:, :, None] * self.local
        examples = slopes.shape[1]
        local = (
            weighted.reshape(len(slopes), -1)
            @ (slopes[:, :, None] * np.repeat(self.psi[:, None, :], examples, axis=1))
            .reshape(len(slopes), -1)
            .T
        )
        return np.asarray(common @ common.T + 0.5 * (local + local.T))

    def with_sum(self, slopes: Floats) -> Floats:
        """[arm, example]: of each predictor with the weighted sum of its own arm's predictors."""
        common = np.einsum("je,jea->ja", slopes, self.through)
        return np.asarray(np.einsum("jea,ja->je", self.through, common) + slopes * self.own)


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
    effects = start or Effects(w=np.zeros(phi.shape[1]), v=np.zeros((examples, psi.shape[1])))
    eta = _predicted(effects, phi, psi)
    value, slopes, weights = likelihood(eta)
    for _ in range(ROUNDS_MAX):
        step = _newton(effects, phi, psi, slopes, weights)
        share = 1.0
        for _ in range(HALVINGS_MAX):
            moved = Effects(w=effects.w + share * step.w, v=effects.v + share * step.v)
            eta_moved = _predicted(moved, phi, psi)
            found = likelihood(eta_moved)
            if _penalised(found[0], moved) >= _penalised(value, effects) - 1e-9:
                break
            share /= 2
        change = float(np.abs(eta_moved - eta).max(initial=0.0))
        effects, eta, (value, slopes, weights) = moved, eta_moved, found
        if change < CONVERGED:
            break
    return Mixed(effects, phi, psi, weights, value)


def _predicted(effects: Effects, phi: Floats, psi: Floats) -> Floats:
    return np.asarray((phi @ effects.w)[:, None] + psi @ effects.v.T)


def _penalised(value: float, effects: Effects) -> float:
    return value - 0.5 * float((effects.w**2).sum() + (effects.v**2).sum())


def _newton(effects: Effects, phi: Floats, psi: Floats, slopes: Floats, weights: Floats) -> Effects:
    of_w = phi.T @ slopes.sum(axis=1) - effects.w
    of_v = slopes.T @ psi - effects.v
    blocks, border, schur = _hessian(phi, psi, weights)
    eased = np.einsum("eqr,er->eq", blocks, of_v)
    w = cho_solve(cho_factor(schur, lower=True), of_w - np.einsum("eaq,eq->a", border, eased))
    v = eased - np.einsum("eqr,ear,a->eq", blocks, border, w, optimize=True)
    return Effects(w=w, v=v)


def _hessian(phi: Floats, psi: Floats, weights: Floats) -> tuple[Floats, Floats, Floats]:
    """The inverses of the examples' blocks, the border, and the Schur complement of w."""
    crossed = (weights.T[:, :, None] * psi).transpose(0, 2, 1)  # [example, q, arm]
    blocks = np.linalg.inv(np.eye(psi.shape[1]) + crossed @ psi)
    border = (crossed @ phi).transpose(0, 2, 1)  # [example, column, q]
    schur = np.eye(phi.shape[1]) + phi.T @ (weights.sum(axis=1)[:, None] * phi)
    flat = border.transpose(1, 0, 2).reshape(phi.shape[1], -1)
    bent = np.matmul(border, blocks).transpose(1, 0, 2).reshape(phi.shape[1], -1)
    schur -= bent @ flat.T
    return np.asarray(blocks), border, np.asarray(0.5 * (schur + schur.T))


def _solved(factor: tuple[Floats, bool], rows: Floats) -> Floats:
    """Whiten rows: their inner products are then those under the inverse of the Schur complement."""
    flat = rows.reshape(-1, rows.shape[-1])
    white = solve_triangular(factor[0], flat.T, lower=True).T
    return np.asarray(white.reshape(rows.shape))


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
