"""Recommend: from what is believed to the answer; here, so that search and report use one rule."""

import math
from collections.abc import Iterable, Sequence
from typing import Final

from coordinator.beliefs import Belief
from coordinator.pool import Pool
from study.config import Config
from study.trials import Estimate

LOWER_BOUND: Final = 0.7
"""Standard errors (of the draws) that a config's value is marked down by in comparisons."""
TIE: Final = 0.003
"""Configs within this of the best lower bound are as good: the cheapest of them is taken."""
COST_ERRORS: Final = 3.0
"""Standard errors by which a config's mean cost stays under the limit. Three, where two would do for
a normal law: answers' lengths are skewed, and few examples may lack the long ones."""
DEAR_ERRORS: Final = 2.0
"""Standard errors by which its least cost must be above the limit for an arm to die of it."""
CONFIDENCE: Final = 1.96


def affordable(pool: Pool, n: Sequence[int], limit: int) -> list[int]:
    """Which of the values of n (by index) a request may ask for, cost's own error included."""
    tokens = pool.tokens
    if tokens is None:
        return []
    return [
        i
        for i, k in enumerate(n)
        if tokens.cost(k, pool.price) + COST_ERRORS * tokens.cost_std_error(k, pool.price) <= limit
    ]


def unaffordable(pool: Pool, n: int, limit: int) -> bool:
    """Whether n answers cost too much, beyond the doubt that is left of their cost."""
    tokens = pool.tokens
    if tokens is None:
        return False
    doubt = DEAR_ERRORS * tokens.cost_std_error(n, pool.price)
    return tokens.cost(n, pool.price) - doubt > limit


def estimates(
    pool: Pool, belief: Belief, n: Sequence[int], *, limit: int, sign: float
) -> list[tuple[float, Estimate]]:
    """The configs of an arm that the inference budget affords, each with what it is ranked by."""
    tokens = pool.tokens
    if tokens is None or not pool.examples:
        return []
    found = []
    few = n[:1] if pool.arm.repeats_itself else n
    for i in affordable(pool, few, limit):
        mean, draw_error = float(belief.means[i]), float(belief.draw_errors[i])
        error = math.hypot(draw_error, float(belief.example_errors[i]))
        estimate = Estimate(
            config=Config(arm=pool.arm, n=n[i]),
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
