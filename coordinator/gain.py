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

Indices = NDArray[np.intp]

_Z, _SHARES = np.polynomial.hermite_e.hermegauss(15)
_SHARES = _SHARES / _SHARES.sum()
EXAMPLES: Final = (4, 10, 25)
DRAWS: Final = (1, 4, 16)
"""The bundles compared: so many examples, so many draws on each."""
NEVER: Final = 1e18
"""The noise of a bundle that tells nothing."""
TINY: Final = 1e-12


@dataclass(frozen=True, kw_only=True)
class Bundles:
    """Draws that are valued together: of each arm, so many on each of the most telling examples.

    Args:
        draws: on each example.
        order: [arm, example]: the examples, most telling first.
        counts: how many of them each bundle takes.
        noise: [arm, bundle]: the variance with which it tells the arm's mean.
    """

    draws: int
    order: Indices
    counts: tuple[int, ...]
    noise: Floats


class Prospects:
    """What is believed of arms while steps are planned: each planned step narrows it.

    Args:
        outlook: on the arms, as the model last saw them.
        draws_out: [arm, example]: draws that were asked for and have not come.
    """

    def __init__(self, outlook: Outlook, draws_out: Floats) -> None:
        self.means = outlook.means
        self._outlook = outlook
        self._covariance = outlook.covariance.copy()
        self._variance = np.maximum(np.diag(outlook.covariance), TINY)
        self._out = np.zeros(draws_out.shape)
        self._bundles: dict[int, Bundles] = {}
        for arm in np.flatnonzero(draws_out.any(axis=1)):
            self.take(int(arm), np.flatnonzero(draws_out[arm]), draws_out[arm])

    @property
    def deviations(self) -> Floats:
        """[arm]: the standard deviations of the means."""
        return np.sqrt(np.maximum(0.0, np.diag(self._covariance)))

    def behind(self, leader: int, arm: int) -> float:
        """How many standard deviations of their difference an arm is behind another."""
        look = self._outlook.covariance
        variance = look[leader, leader] + look[arm, arm] - 2 * look[leader, arm]
        return float((self.means[leader] - self.means[arm]) / np.sqrt(max(TINY, variance)))

    def bundles(self, draws: int) -> Bundles:
        """What could be drawn next of each arm, so many draws at a time."""
        if draws not in self._bundles:
            self._bundles[draws] = self._bundled(np.arange(len(self._out)), draws)
        return self._bundles[draws]

    def gains(self, arms: Indices, bundles: Bundles, rivals: Indices, doubt: float = 1.0) -> Floats:
        """[arm, bundle], of some arms: the expected improvement of the best of the rivals' means.

        With doubt the means are held to be so many times as uncertain as the model says.
        """
        means, own = self.means[rivals], doubt**2 * np.diag(self._covariance)[arms]
        leader = means.argmax()
        behind = means[leader] - means
        columns = doubt**2 * self._covariance[np.ix_(arms, rivals)]
        columns -= columns[:, [leader]]  # how the leader itself moves evens out
        widths = np.sqrt(np.maximum(TINY, own)[:, None] + bundles.noise[arms])
        reach = _Z.max() * np.abs(columns)[:, None, :]
        # Few rivals pass the leader even where a step says the most for them.
        arm, bundle, rival = np.nonzero(reach > behind * widths[:, :, None])
        found = np.zeros(widths.shape)
        if len(arm):
            moves = columns[arm, rival] / widths[arm, bundle]
            ahead = moves[:, None] * _Z - behind[rival, None]
            row = arm * widths.shape[1] + bundle
            starts = np.flatnonzero(np.diff(row, prepend=-1))
            best = np.maximum(0.0, np.maximum.reduceat(ahead, starts, axis=0))
            found.ravel()[row[starts]] = best @ _SHARES
        return found

    def take(self, arm: int, examples: Indices, draws: Floats) -> None:
        """Plan draws [example]: their result counts as known, though not what it will be."""
        precision = self._precision(np.array([arm]), draws[None, :])[0]
        noise = 1 / max(float(precision[examples].sum()), 1 / NEVER)
        self._out[arm, examples] += draws[examples]
        column = self._covariance[:, arm].copy()
        self._covariance -= np.outer(column, column) / (max(TINY, column[arm]) + noise)
        for each in self._bundles.values():
            changed = self._bundled(np.array([arm]), each.draws)
            each.order[arm], each.noise[arm] = changed.order[0], changed.noise[0]

    def _bundled(self, arms: Indices, draws: int) -> Bundles:
        precision = self._precision(arms, np.full((1, len(self._out.T)), float(draws)))
        order = np.argsort(-precision, axis=1, kind="stable")
        total = np.cumsum(np.take_along_axis(precision, order, axis=1), axis=1)
        counts = tuple(sorted({min(k, order.shape[1]) for k in EXAMPLES}))
        noise = 1 / np.maximum(total[:, [k - 1 for k in counts]], 1 / NEVER)
        return Bundles(draws=draws, order=order, counts=counts, noise=noise)

    def _precision(self, arms: Indices, draws: Floats) -> Floats:
        """[arm, example]: how well draws there tell the arm's mean, as if they told nothing else."""
        look = self._outlook
        spread, told = look.spread[arms], np.maximum(look.information[arms], TINY)
        left = spread / (1 + spread * told * self._out[arms])
        lever = look.leverage[arms] * left / spread
        reduced = lever**2 / (left + 1 / np.maximum(draws * told, TINY))
        variance = self._variance[arms][:, None]
        reduced = np.minimum(reduced, 0.999 * variance)
        return np.asarray(reduced / (variance * (variance - reduced)))
