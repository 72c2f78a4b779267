"""Resampling: a metric of n answers taken together, for every n, from the m answers paid for.

For evaluators that judge n answers at once (voting, graded scores): the mean over subsets of size n
of the pool. Where the subsets are few they are all judged; else a seeded draw of them is.
"""

import itertools
import math
import random
from collections.abc import Callable, Sequence
from typing import Final

SUBSETS_MAX: Final = 12
"""Subsets judged for each n: the judge may be slow, and the error falls only with the root."""


def sizes(draws: int) -> list[int]:
    """The n that are judged for a pool: 1, 2, 3, 4, 6, 8, 12, ... and the pool's own size."""
    grid = [1, 2, 3] + [k * 2**i for i in range(1, 10) for k in (2, 3)]
    return sorted({n for n in grid if n <= draws} | ({draws} if draws else set()))


def curve(
    judge: Callable[[Sequence[str]], float], texts: Sequence[str], *, seed: int
) -> dict[int, float]:
    """The metric's mean over subsets of n answers, for each n of `sizes`.

    Args:
        judge: the metric of some answers; called once for each distinct multiset of texts.
        texts: the pooled answers, in the order of their draws.
        seed: of the choice of subsets.

    Returns:
        n -> mean; empty where there are no answers.
    """
    judged: dict[tuple[str, ...], float] = {}

    def value(subset: Sequence[int]) -> float:
        chosen = [texts[i] for i in subset]
        key = tuple(sorted(chosen))
        if key not in judged:
            judged[key] = judge(chosen)
        return judged[key]

    means = {}
    for n in sizes(len(texts)):
        values = [value(subset) for subset in _subsets(len(texts), n, seed)]
        means[n] = math.fsum(values) / len(values)
    return means


def _subsets(draws: int, n: int, seed: int) -> list[tuple[int, ...]]:
    if math.comb(draws, n) <= SUBSETS_MAX:
        return list(itertools.combinations(range(draws), n))
    chooser = random.Random(f"{seed}/{draws}/{n}")  # noqa: S311 (a seeded choice, not a secret)
    return [tuple(sorted(chooser.sample(range(draws), n))) for _ in range(SUBSETS_MAX)]
