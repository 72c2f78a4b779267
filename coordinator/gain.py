"""Gain: what a step is expected to improve the answer by (the knowledge gradient), and which step that is.

After Frazier, Powell and Dayanik 2009 (The knowledge-gradient policy for correlated normal beliefs): a
step moves the means of all arms along one direction, by a normal amount, and pays where that changes
which arm is best. A step is a bundle of draws of one arm, since a few may change no mind where many do.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from coordinator.beliefs import Floats, Outlook

_Z, _SHARES = np.polynomial.hermite_e.hermegauss(15)
_SHARES = _SHARES / _SHARES.sum()
EXAMPLES: Final = (4, 10, 25)
DRAWS: Final = (1, 4, 16)
"""The bundles compared: so many examples, so many draws on each."""


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """Draws of an arm that are valued together: which examples, most telling first, how many each."""

    examples: tuple[int, ...]
    draws: int
    noise: float


class Prospects:
    """What is believed of arms while steps are planned: each planned step narrows it.

    Args:
        outlook: on the arms, as the model last saw them.
        draws_out: [arm, example]: draws that were asked for and have not come.
    """

    def __init__(self, outlook: Outlook, draws_out: Floats) -> None:
        self.means = outlook.means
        self._covariance = outlook.covariance.copy()
        self._variance = np.maximum(np.diag(outlook.covariance), 1e-12)
        self._outlook = outlook
        self._out = draws_out.copy()
        for arm in np.flatnonzero(draws_out.any(axis=1)):
            out = np.flatnonzero(draws_out[arm])
            self._narrow(int(arm), self._noise(int(arm), out, draws_out[arm, out], pending=0.0))

    def deviation(self, arm: int) -> float:
        """The standard deviation of an arm's mean."""
        return float(np.sqrt(max(0.0, self._covariance[arm, arm])))

    def behind(self, leader: int, arm: int) -> float:
        """How many standard deviations of their difference an arm is behind another."""
        look = self._outlook.covariance
        variance = look[leader, leader] + look[arm, arm] - 2 * look[leader, arm]
        return float((self.means[leader] - self.means[arm]) / np.sqrt(max(1e-12, variance)))

    def bundles(self, arm: int, *, draws_max: int) -> list[Bundle]:
        """What could be drawn next of an arm."""
        found = []
        for draws in DRAWS:
            if draws > max(1, draws_max):
                break
            worth = self._reduction(arm, draws)
            order = np.argsort(-worth, kind="stable")
            for count in sorted({min(k, len(order)) for k in EXAMPLES}):
                chosen = order[:count]
                pending = self._out[arm, chosen]
                noise = self._noise(arm, chosen, np.full(count, float(draws)), pending=pending)
                found.append(
                    Bundle(examples=tuple(int(e) for e in chosen), draws=draws, noise=noise)
                )
        return found

    def gains(self, arm: int, bundles: list[Bundle], rivals: NDArray[np.intp]) -> Floats:
        """[bundle]: the expected improvement of the best of the rivals' means."""
        column = self._covariance[rivals, arm]
        noise = np.array([bundle.noise for bundle in bundles])
        moves = column / np.sqrt(max(1e-12, self._covariance[arm, arm]) + noise)[:, None]
        means = self.means[rivals]
        best = (means[None, :, None] + moves[:, :, None] * _Z).max(axis=1)
        return np.asarray(np.maximum(0.0, best @ _SHARES - means.max()))

    def take(self, arm: int, examples: list[int], draws: int) -> None:
        """Plan draws: their result counts as known, though not what it will be."""
        at = np.array(examples)
        noise = self._noise(arm, at, np.full(len(at), float(draws)), pending=self._out[arm, at])
        self._out[arm, at] += draws
        self._narrow(arm, noise)

    def _narrow(self, arm: int, noise: float) -> None:
        column = self._covariance[:, arm].copy()
        self._covariance -= np.outer(column, column) / (max(1e-12, column[arm]) + noise)

    def _reduction(self, arm: int, draws: int) -> Floats:
        """[example]: by how much so many draws there narrow the variance of the arm's mean."""
        return self._reduced(arm, slice(None), np.float64(draws), self._out[arm])

    def _reduced(self, arm: int, at: object, draws: object, pending: object) -> Floats:
        look = self._outlook
        spread, told = look.spread[arm][at], look.information[arm][at]
        left = spread / (1 + spread * told * pending)
        lever = look.leverage[arm][at] * left / spread
        return np.asarray(lever**2 / (left + 1 / np.maximum(1e-12, draws * told)))

    def _noise(self, arm: int, at: NDArray[np.intp], draws: Floats, *, pending: object) -> float:
        """The variance with which draws tell the arm's mean, as if they told nothing else."""
        variance = self._variance[arm]
        reduced = np.minimum(self._reduced(arm, at, draws, pending), 0.999 * variance)
        precision = float((1 / (variance**2 / np.maximum(reduced, 1e-18) - variance)).sum())
        return 1 / max(precision, 1e-12)
