"""Resampling: a metric of n answers taken together, for every n, from the m answers paid for.

For evaluators that judge n answers at once (voting, graded scores): the mean over subsets of size n
of the pool. Where the subsets are few they are all judged; else a seeded draw of them is.

Many such functions judge each answer, and only then look at how many are good. Whether one does shows:
each answer by itself is worth 1 or 0, and all subsets are worth what a count metric makes of these.
"""

import itertools
import math
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from study.metrics import RECOGNISED, CountMetric

SUBSETS_MAX: Final = 12
"""Subsets judged for each n: the judge may be slow, and the error falls only with the root."""
EXACT: Final = 1e-6
"""A value agrees with a count metric that is no further from it."""

Judge = Callable[[Sequence[str]], float]
"""The metric of some answers."""


@dataclass(frozen=True, kw_only=True)
class Resampled:
    """What a pool of answers is worth.

    Args:
        curve: n -> the metric's mean over subsets of n answers; empty where there are no answers.
        passes: whether each answer is good by itself; None if any is neither good nor bad.
        counts_as: the count metrics (of `RECOGNISED`) with which all that was judged agrees.
    """

    curve: dict[int, float]
    passes: list[bool] | None
    counts_as: list[str]

    def told(self, judged: Iterable[int], *, first_draw: int, draws: int) -> dict[str, Any]:
        """What the result of some of the draws that were judged says (`study.messages.Scored`)."""
        own, passes = range(first_draw, first_draw + draws), self.passes
        if passes is not None:
            passes = [good for draw, good in zip(judged, passes, strict=True) if draw in own]
        return {"curve": self.curve, "passes": passes, "counts_as": self.counts_as}


def sizes(draws: int) -> list[int]:
    """The n that are judged for a pool: 1, 2, 3, 4, 6, 8, 12, ... and the pool's own size."""
    grid = [1, 2, 3] + [k * 2**i for i in range(1, 10) for k in (2, 3)]
    return sorted({n for n in grid if n <= draws} | ({draws} if draws else set()))


def resample(
    judge: Judge, texts: Sequence[str], *, mode: Literal["max", "min"], seed: int
) -> Resampled:
    """Judge subsets of n answers, for each n of `sizes`.

    Args:
        judge: called once for each distinct multiset of texts.
        texts: the pooled answers, in the order of their draws.
        mode: whether the metric should be large or small: where small, an answer worth 0 is good,
            and what a count metric makes of the good ones is 1 less the value.
        seed: of the choice of subsets.
    """
    judged: dict[tuple[str, ...], float] = {}

    def value(subset: Sequence[int]) -> float:
        chosen = [texts[i] for i in subset]
        key = tuple(sorted(chosen))
        if key not in judged:
            judged[key] = judge(chosen)
        return judged[key]

    good = 1.0 if mode == "max" else 0.0
    passes = _passes(lambda i: value([i]), len(texts), good)
    agreeing = set() if passes is None else set(RECOGNISED)
    means = {}
    for n in sizes(len(texts)):
        subsets = _subsets(len(texts), n, seed)
        values = [value(subset) for subset in subsets]
        means[n] = math.fsum(values) / len(values)
        if passes is not None and agreeing:
            counts = [sum(passes[i] for i in subset) for subset in subsets]
            worths = values if mode == "max" else [1 - value for value in values]
            agreeing = {law for law in agreeing if _agrees(RECOGNISED[law], n, counts, worths)}
    return Resampled(
        curve=means,
        passes=passes,
        counts_as=[law for law in RECOGNISED if law in agreeing],
    )


def _agrees(law: CountMetric, n: int, counts: Sequence[int], worths: Sequence[float]) -> bool:
    """Whether so many good answers among n are always worth what a count metric says."""
    return all(abs(law(k, n) - w) <= EXACT for k, w in zip(counts, worths, strict=True))


def _passes(value: Callable[[int], float], draws: int, good: float) -> list[bool] | None:
    """Whether each answer is good; None as soon as one is neither good nor bad."""
    passes = []
    for i in range(draws):
        if (single := value(i)) not in (0.0, 1.0):
            return None
        passes.append(single == good)
    return passes


def _subsets(draws: int, n: int, seed: int) -> list[tuple[int, ...]]:
    if math.comb(draws, n) <= SUBSETS_MAX:
        return list(itertools.combinations(range(draws), n))
    chooser = random.Random(f"{seed}/{draws}/{n}")  # noqa: S311 (a seeded choice, not a secret)
    return [tuple(sorted(chooser.sample(range(draws), n))) for _ in range(SUBSETS_MAX)]
