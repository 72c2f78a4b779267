"""Recommend: from what is believed to the answer; here, so that search and report use one rule."""

import bisect
import functools
import math
from collections.abc import Iterable, Sequence
from typing import Final

from scipy import stats

from coordinator.beliefs import Belief
from coordinator.lengths import Tokens
from coordinator.pool import Pool
from study.config import Arm, Config
from study.trials import Estimate

EXAMPLES_SHARE: Final = 0.4
"""The share of the examples that a config must have been seen on."""
LOWER_BOUND: Final = 1.0
"""Standard errors (of the draws) that a config's value is marked down by in comparisons."""
TIE: Final = 0.003
"""Configs within this of the best lower bound are as good: the cheapest of them is taken."""
COST_CONFIDENCE: Final = 0.985
"""That a config's mean cost is under the limit: by Student's law, as it was seen on few examples."""
FREEDOM_MIN: Final = 3
UNASKED_ERROR: Final = 0.1
"""The standard error of the mean cost, as a share of it, that is left of an arm once it was asked."""
DEAR_ERRORS: Final = 2.0
"""Standard errors by which its least cost must be above the limit for an arm to die of it."""
LOOKED_AT: Final = 24
"""Values of n of an arm that are compared."""
CONFIDENCE: Final = 1.96


def affordable(pool: Pool, tokens: Tokens, n: Sequence[int], limit: int) -> int:
    """How many of the values of n, the first ones, a request may ask for, cost's own error included."""
    few = n[:1] if pool.arm.repeats_itself else n
    return bisect.bisect_right(few, limit, key=lambda k: math.ceil(at_most(pool, tokens, k)))


def at_most(pool: Pool, tokens: Tokens, n: int) -> float:
    """What a request for n answers costs on average, beyond reasonable doubt, in nanodollars.

    An arm that was never asked has the doubt that asking it would leave, or dear ones would seem to
    afford so little that they are never asked.
    """
    cost = tokens.cost(n, pool.price)
    error, seen = tokens.cost_std_error(n, pool.price) / max(1, cost), pool.examples
    if not pool.answers:
        error, seen = min(error, UNASKED_ERROR), pool.size
    return cost * math.exp(_errors(seen) * error)


@functools.cache
def _errors(examples: int) -> float:
    """Standard errors (of the logarithm) by which a mean over examples stays under a limit."""
    return float(stats.t.ppf(COST_CONFIDENCE, max(FREEDOM_MIN, examples - 1)))


def unaffordable(pool: Pool, tokens: Tokens, n: int, limit: int) -> bool:
    """Whether n answers cost too much, beyond the doubt that is left of their cost."""
    cost = tokens.cost(n, pool.price)
    return pool.answers > 0 and cost - DEAR_ERRORS * tokens.cost_std_error(n, pool.price) > limit


def seen_enough(pool: Pool) -> bool:
    """Whether an arm was seen on examples enough to be recommended."""
    return pool.examples >= EXAMPLES_SHARE * pool.size


def estimates(
    pool: Pool,
    tokens: Tokens,
    belief: Belief,
    n: Sequence[int],
    *,
    limit: int,
    sign: float,
    arm: Arm | None = None,
) -> list[tuple[float, Estimate]]:
    """The configs of an arm, or of a cut of it, that the inference budget affords, with their ranks."""
    found = []
    count = affordable(pool, tokens, n, limit)
    for i in _spread(count):
        mean, draw_error = float(belief.means[i]), float(belief.draw_errors[i])
        error = math.hypot(draw_error, float(belief.example_errors[i]))
        estimate = Estimate(
            config=Config(arm=arm or pool.arm, n=n[i]),
            value=sign * mean,
            std_error=error,
            lower=sign * mean - CONFIDENCE * error,
            upper=sign * mean + CONFIDENCE * error,
            inference_cost_nanodollars=tokens.cost(n[i], pool.price),
            examples=pool.examples,
            draws=pool.draws,
        )
        found.append((mean - LOWER_BOUND * draw_error, estimate))
    return found


def _spread(count: int) -> list[int]:
    """The indices looked at of so many values of n: all of few; ever sparser ones of many, and the last."""
    if count <= LOOKED_AT:
        return list(range(count))
    return sorted({round(count ** (k / (LOOKED_AT - 1))) - 1 for k in range(LOOKED_AT)})


def best(ranked: Iterable[tuple[float, Estimate]], *, scale: float) -> Estimate | None:
    """The config with the highest lower bound; of those as good, the cheapest."""
    ranked = list(ranked)
    if not ranked:
        return None
    highest = max(rank for rank, _ in ranked)
    as_good = [(rank, estimate) for rank, estimate in ranked if rank >= highest - TIE * scale]
    return min(as_good, key=lambda item: (item[1].inference_cost_nanodollars, -item[0]))[1]


def pareto_front(ranked: Iterable[tuple[float, Estimate]]) -> list[Estimate]:
    """The configs that no cheaper one matches, cheapest first."""
    front: list[tuple[float, Estimate]] = []
    for rank, estimate in sorted(
        ranked, key=lambda item: (item[1].inference_cost_nanodollars, -item[0])
    ):
        if not front or rank > front[-1][0]:
            front.append((rank, estimate))
    return [estimate for _, estimate in front]
