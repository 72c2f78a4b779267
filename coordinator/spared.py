"""Spared: the share of passing answers that stop strings leave whole, on each example.

A stop string ends an answer wherever it comes up. That is no matter of ability: where half of a
model's answers hold it before the code, half of the passes are lost, on easy and hard examples
alike; where the solution itself needs it, all are. Both can be counted, since answers bought without
stops were judged as stops would have left them, too (`study.cuts`): how alike the examples are is
the concentration of a beta-binomial, fitted by likelihood (Skellam 1948).
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from scipy.special import betaincinv, betaln

from coordinator.features import Floats
from coordinator.pool import Cell, Pool
from study import cuts
from study.config import Arm

CONCENTRATIONS: Final[Floats] = np.geomspace(0.1, 30.0, 9)
"""Compared: from examples that lose all or nothing to such that all lose the same share."""
MEAN_WEIGHT: Final = 2.0
"""That no answer is lost weighs as much beforehand as so many examples."""
MEAN_MAX: Final = 0.999
LEVELS: Final[Floats] = np.array([1e-3, 0.03, *np.linspace(0.1, 1.0, 10)])
"""Shares are rounded to these, so that arms can be looked at level by level."""

Stops = frozenset[str]


class Spared:
    """Learns from pools in which answers were looked at cut.

    Args:
        examples: how many there are.
    """

    def __init__(self, examples: int) -> None:
        self._whole = np.ones(examples)
        self._shares: dict[Stops, Floats] = {}

    def fit(self, pools: Sequence[Pool]) -> None:
        """Count what stops leave of the answers of arms without any."""
        kept: dict[Stops, Floats] = {}
        passes = np.zeros(len(self._whole))
        passed: dict[Stops, Floats] = {}
        for pool in pools:
            if stops := _stops(pool.arm):
                passing = [cell.passes > 0 for cell in pool.cells]
                passed[stops] = passed.get(stops, 0.0) + np.array(passing, dtype=float)
                continue
            passes += [cell.cut_passes for cell in pool.cells]
            for cut in pool.cuts:
                if stops := _stops(cut):
                    left = [_left(cell, cut.key) for cell in pool.cells]
                    kept[stops] = kept.get(stops, 0.0) + np.array(left, dtype=float)
        none = np.zeros(len(passes))
        self._shares = {
            stops: _spared(left, passes, passed.get(stops, none)) for stops, left in kept.items()
        }

    def of(self, arm: Arm) -> Floats:
        """[example]: the share of its answers, of those that would pass, which its stops leave whole."""
        return self._shares.get(_stops(arm), self._whole)


def _stops(arm: Arm) -> Stops:
    return frozenset(cuts.strings(arm))


def _left(cell: Cell, cut: str) -> int:
    """How many of a cell's passing answers still pass, cut."""
    change = cell.changes.get(cut)
    return cell.cut_passes - (change.lost if change is not None else 0)


def _spared(kept: Floats, passes: Floats, passed: Floats) -> Floats:
    """Each example's share: what was counted there, beside what the others say of it.

    Where an arm with the stops did pass, they can't spoil all.
    """
    kept = np.where((kept == 0) & (passed > 0), 1.0, kept)
    passes = np.maximum(passes, kept)
    seen = passes > 0
    share = kept[seen] / passes[seen]
    mean = min(MEAN_MAX, float((share.sum() + MEAN_WEIGHT) / (len(share) + MEAN_WEIGHT)))
    prior = CONCENTRATIONS[:, None] * np.array([mean, 1 - mean])
    yes, no = prior[:, :1], prior[:, 1:]
    k, m = kept[seen], passes[seen]
    likelihood = (betaln(yes + k, no + m - k) - betaln(yes, no)).sum(axis=1)
    yes, no = prior[likelihood.argmax()]
    found = np.full(len(kept), mean)
    found[seen] = betaincinv(yes + k, no + m - k, 0.5)
    return np.asarray(LEVELS[np.abs(found[:, None] - LEVELS).argmin(axis=1)])
