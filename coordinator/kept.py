"""Kept: what is left of an arm's answers when they are cut (`study.cuts`), from what was paid for in full.

Each draw was judged whole and cut, so that the two are compared in pairs: of the answers that pass, a
share is kept by the cut; of those that fail, some may pass for it. Both shares differ from example to
example, since a long solution is always cut and a short one never: what is seen on one is shrunk only a
little towards the mean of all. Of other examples a cut spoils some that these don't show: the shortest
limit that keeps all of twenty is the one that luck would choose.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from scipy.special import betaincinv

from coordinator.features import Floats
from coordinator.lengths import Tokens
from coordinator.pool import Cell, Pool
from study.config import Arm

QUANTILES: Final = (np.arange(5) + 0.5) / 5
"""A share's distribution is stood for by its values at these."""
MEAN_WEIGHT: Final = 0.1
"""On each example, the mean of all counts as so many draws: most examples are kept always or never."""
SOLVED: Final = (0.5, 0.5)
"""Examples that are kept, and lost, before any were seen (Jeffreys's prior)."""
RESCUED: Final = (0.0, 4.0)
"""The same of failing answers: nothing is rescued until it was seen."""
SAVED_MIN: Final = 0.02
"""A cut that saves a smaller share of the tokens, and rescues nothing, is not worth looking at."""
KEPT_MIN: Final = 0.3
"""Nor is one that keeps a smaller share of the passing answers."""
LIMIT_ERRORS: Final = 2.0
"""A mean of tokens is no more uncertain than by so many errors to max_tokens, which none passes."""
TINY: Final = 1e-6


@dataclass(frozen=True, kw_only=True, eq=False)
class Kept:
    """What a cut leaves.

    Args:
        arm: that would have given the cut answers.
        passing: [example, quantile]: the share of passing answers that still pass.
        failing: [example, quantile]: the share of failing answers that pass now.
        unseen: the share of examples that it spoils beyond those which were seen to be.
        unseen_error: the standard error of that.
        tokens: the share of output tokens that are left.
        tokens_error: its standard error.
    """

    arm: Arm
    passing: Floats
    failing: Floats
    unseen: float
    unseen_error: float
    tokens: float
    tokens_error: float

    def of(self, whole: Tokens) -> Tokens:
        """What a request uses, cut."""
        output = min(whole.output * self.tokens, float(self.arm.max_tokens))
        doubt = whole.output_variance * self.tokens**2 + (whole.output * self.tokens_error) ** 2
        left = min(doubt, ((self.arm.max_tokens - output) / LIMIT_ERRORS) ** 2)
        return replace(
            whole,
            output=output,
            output_variance=left,
            covariance=whole.covariance * self.tokens * math.sqrt(left / max(TINY, doubt)),
        )


def cuts(pool: Pool) -> list[Kept]:
    """Those of an arm's cuts that may be better than the arm in full."""
    seen = [cell for cell in pool.cells if cell.cut_draws]
    if not seen:
        return []
    return [kept for cut in pool.cuts if (kept := _kept(pool.cells, seen, cut)) is not None]


def _kept(cells: Sequence[Cell], seen: Sequence[Cell], cut: Arm) -> Kept | None:
    """What is believed of a cut; None if it saves nothing or spoils too much."""
    changes = [cell.changes[cut.key] for cell in seen if cut.key in cell.changes]
    tokens, tokens_error = _tokens(seen, cut)
    if tokens > 1 - SAVED_MIN and not any(change.gained for change in changes):
        return None
    draws = np.array([cell.cut_draws for cell in cells], dtype=float)
    passes = np.array([cell.cut_passes for cell in cells], dtype=float)
    lost, gained = np.zeros(len(cells)), np.zeros(len(cells))
    for e, cell in enumerate(cells):
        if (change := cell.changes.get(cut.key)) is not None:
            lost[e], gained[e] = change.lost, change.gained
    mean, error = _mean(passes - lost, passes, SOLVED)
    if mean < KEPT_MIN:
        return None
    solved = passes > 0
    seen_to_keep = (
        float(np.mean((passes - lost)[solved] / passes[solved])) if solved.any() else mean
    )
    rescued, _ = _mean(gained, draws - passes, RESCUED)
    return Kept(
        arm=cut,
        passing=_levelled(_shares(passes - lost, passes, mean), passes - lost, passes, mean),
        # In another order, so that the two shares of an example don't rise together.
        failing=_shares(gained, draws - passes, rescued)[:, [2, 4, 0, 3, 1]],
        unseen=max(0.0, seen_to_keep - mean),
        unseen_error=error,
        tokens=tokens,
        tokens_error=tokens_error,
    )


def _mean(hits: Floats, of: Floats, prior: tuple[float, float]) -> tuple[float, float]:
    """The mean share over examples, each counting once, and its standard error."""
    share = hits[of > 0] / of[of > 0]
    yes, no = prior[0] + share.sum(), prior[1] + (1 - share).sum()
    mean = yes / (yes + no)
    return float(mean), float(np.sqrt(mean * (1 - mean) / (yes + no + 1)))


def _shares(hits: Floats, of: Floats, mean: float) -> Floats:
    """[example, quantile] of each example's share."""
    if mean <= 0:
        return np.zeros((len(hits), len(QUANTILES)))
    yes = np.maximum(TINY, MEAN_WEIGHT * mean + hits)[:, None]
    no = np.maximum(TINY, MEAN_WEIGHT * (1 - mean) + of - hits)[:, None]
    return np.asarray(betaincinv(yes, no, QUANTILES))


def _levelled(shares: Floats, hits: Floats, of: Floats, mean: float) -> Floats:
    """Shares lowered to their mean, where quantiles pass over a few that are near zero."""
    level = (MEAN_WEIGHT * mean + hits) / (MEAN_WEIGHT + of)
    found = shares.mean(axis=1)
    return np.asarray(shares * np.minimum(1.0, level / np.maximum(TINY, found))[:, None])


def _tokens(seen: Sequence[Cell], cut: Arm) -> tuple[float, float]:
    """The share of output tokens that are left, a ratio of means over examples, and its error."""
    full = np.array([cell.cut_tokens / cell.cut_draws for cell in seen])
    saved = np.array(
        [
            cell.changes[cut.key].saved / cell.cut_draws if cut.key in cell.changes else 0.0
            for cell in seen
        ]
    )
    left = np.maximum(0.0, full - saved)
    share = float(left.sum() / max(TINY, full.sum()))
    apart = ((left - share * full) ** 2).sum() + (share * (1 - share) * full.mean()) ** 2
    return share, float(np.sqrt(apart * len(seen) / max(1, len(seen) - 1)) / max(TINY, full.sum()))
