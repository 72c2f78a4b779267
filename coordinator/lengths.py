"""Lengths: what requests of an arm use, on all examples, from what was seen of any arm on some.

The logarithms of prompts and answers are sums of effects of arms and of examples (`mixed`), so that
an arm seen on the short examples only is not taken for a terse one.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from coordinator import features, mixed
from coordinator.features import Block, Features, Floats
from coordinator.mixed import Mixed
from coordinator.pool import Cell, Pool
from study.prices import MILLION, Price
from study.space import SearchSpace

ANSWER_NOISE: Final = 0.35
"""Standard deviation of the logarithm of one answer's length, beside that of others like it."""
CELL_NOISE: Final = 0.15
"""The same of the mean of very many, around what arm and example make expected."""
PROMPT_NOISE: Final = 0.01
USUAL_PROMPT, USUAL_ANSWER = 200.0, 200.0
"""Tokens, before anything was seen."""
SMEAR_WEIGHT: Final = 10.0
"""The correction from a mean of logarithms to a mean: what is expected weighs as much as so many examples."""
USUAL_VARIATION: Final = 0.55
"""Standard deviation over mean of an answer's length between examples, before any were seen."""
USUAL_VARIATION_EXAMPLES: Final = 4
"""How many examples that assumption is worth."""


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """What requests of an arm use: means over examples, and how uncertain those are.

    `prompt_variance`, `output_variance` and `covariance` are of the means themselves, so that the
    cost of n answers has the standard error that follows.
    """

    prompt: float
    output: float
    prompt_variance: float
    output_variance: float
    covariance: float

    def cost(self, n: int, price: Price) -> int:
        """The mean bill of a request for n answers, in nanodollars."""
        per_input = price.input_nanodollars_per_million / MILLION
        per_output = price.output_nanodollars_per_million / MILLION
        return math.ceil(self.prompt * per_input + n * self.output * per_output)

    def cost_std_error(self, n: int, price: Price) -> float:
        """The standard error of that mean, over examples."""
        per_input = price.input_nanodollars_per_million / MILLION
        per_output = n * price.output_nanodollars_per_million / MILLION
        variance = (
            per_input**2 * self.prompt_variance
            + per_output**2 * self.output_variance
            + 2 * per_input * per_output * self.covariance
        )
        return math.sqrt(max(0.0, variance))


class Lengths:
    """Learns from pools what requests use.

    Args:
        space: of the arms.
        examples: how many tuning examples there are.
    """

    def __init__(self, space: SearchSpace, examples: int) -> None:
        self._prompts = _Logs(_prompt_blocks(space), _ease_blocks(space), space, examples)
        self._answers = _Logs(_answer_blocks(space), _ease_blocks(space), space, examples)

    def fit(self, pools: Sequence[Pool]) -> None:
        """Read all pools."""
        seen = [pool for pool in pools if any(cell.calls for cell in pool.cells)]
        if seen:
            self._prompts.fit(seen, _prompt)
            self._answers.fit(seen, _answer)

    def tokens(self, pools: Sequence[Pool]) -> list[Tokens]:
        """What requests of arms use, of some of which nothing was bought."""
        prompts, _ = self._prompts.expected(pools, _prompt)
        answers, doubts = self._answers.expected(pools, _answer)
        return [_tokens(*each) for each in zip(prompts, answers, doubts, strict=True)]


Seen = Callable[[Cell], tuple[float, float]]
"""The mean seen in a cell, and the variance of its logarithm."""


def _prompt(cell: Cell) -> tuple[float, float]:
    return max(1.0, cell.prompt_tokens / cell.calls), PROMPT_NOISE**2


def _answer(cell: Cell) -> tuple[float, float]:
    return max(1.0, cell.output_tokens / cell.answers), ANSWER_NOISE**2 / cell.answers


class _Logs:
    """A mixed-effects model of logarithms."""

    def __init__(
        self, blocks: list[Block], local: list[Block], space: SearchSpace, examples: int
    ) -> None:
        self._features, self._local = Features(blocks, space), Features(local, space)
        self._examples = examples
        self._mean, self._smear = math.log(USUAL_ANSWER), 1.0
        width = len(self._features.owner), len(self._local.owner)
        self._fitted: Mixed = mixed.unseen(*width, examples=examples)

    def fit(self, pools: Sequence[Pool], seen: Seen) -> None:
        logs, variances = self._read(pools, seen)
        known = np.isfinite(variances)
        self._mean = float(logs[known].mean())
        weights = np.where(known, 1 / (variances + CELL_NOISE**2), 0.0)
        target = np.where(known, logs - self._mean, 0.0)
        phi, psi = self._columns(pools)
        self._fitted = mixed.fit(phi, psi, mixed.normal(target, weights), examples=self._examples)
        made = np.exp(self._fitted.predict(phi, psi) + self._mean)[known]
        weight = SMEAR_WEIGHT * float(np.mean(made))
        self._smear = (float(np.exp(logs[known]).sum()) + weight) / (float(made.sum()) + weight)

    def expected(self, pools: Sequence[Pool], seen: Seen) -> tuple[Floats, Floats]:
        """[arm, example] of what is expected, and [arm]: the variance of its logarithm's mean."""
        phi, psi = self._columns(pools)
        logs, variances = self._read(pools, seen)
        reach = self._fitted.reach(phi, psi)
        shares = np.full(logs.shape, 1 / self._examples)
        common = np.einsum("je,jea->ja", shares, reach.through)
        local = (shares**2 * (reach.own + CELL_NOISE**2)).sum(axis=1)
        expected = self._fitted.predict(phi, psi) + self._mean + math.log(self._smear)
        trust = CELL_NOISE**2 / (CELL_NOISE**2 + variances)
        found = np.exp(expected + np.where(np.isfinite(variances), trust * (logs - expected), 0.0))
        return found, (common**2).sum(axis=1) + local

    def _read(self, pools: Sequence[Pool], seen: Seen) -> tuple[Floats, Floats]:
        logs = np.zeros((len(pools), self._examples))
        variances = np.full(logs.shape, np.inf)
        for j, pool in enumerate(pools):
            for e, cell in enumerate(pool.cells):
                if cell.calls:
                    mean, variances[j, e] = seen(cell)
                    logs[j, e] = math.log(mean)
        return logs, variances

    def _columns(self, pools: Sequence[Pool]) -> tuple[Floats, Floats]:
        arms = [pool.arm for pool in pools]
        phi = self._features.of(arms) * self._features.scales(
            [b.scale for b in self._features.blocks]
        )
        psi = self._local.of(arms) * self._local.scales([b.scale for b in self._local.blocks])
        return phi, psi


def _tokens(prompts: Floats, answers: Floats, doubt: float) -> Tokens:
    count = len(answers)
    prompt, answer = float(prompts.mean()), float(answers.mean())
    assumed = USUAL_VARIATION_EXAMPLES * USUAL_VARIATION**2
    free = (count - 1 + USUAL_VARIATION_EXAMPLES) * count
    between = (float(((answers - answer) ** 2).sum()) + assumed * answer**2) / free
    return Tokens(
        prompt=prompt,
        output=answer,
        prompt_variance=(float(((prompts - prompt) ** 2).sum()) + assumed * prompt**2) / free,
        output_variance=between + doubt * answer**2,
        covariance=float(((prompts - prompt) * (answers - answer)).sum()) / free,
    )


def _prompt_blocks(space: SearchSpace) -> list[Block]:
    models = features.indicator(space.models, features.model_of)
    templates = features.indicator(range(len(space.templates)), features.template_of)
    return [
        Block(name="constant", columns=features.constant, scale=0.5),
        Block(name="model", columns=models, scale=0.1),
        Block(name="template", columns=templates, scale=0.4),
    ]


def _answer_blocks(space: SearchSpace) -> list[Block]:
    models = features.indicator(space.models, features.model_of)
    templates = features.indicator(range(len(space.templates)), features.template_of)
    curve = features.smooth(features.heat, features.heat_knots(space), 1.0)
    return [
        Block(name="constant", columns=features.constant, scale=0.8),
        Block(name="model", columns=models, scale=0.4),
        Block(name="template", columns=templates, scale=0.3),
        Block(name="both", columns=features.together(models, templates), scale=0.15),
        Block(name="heat", columns=curve, scale=0.15),
        *features.of_parameters(space, 0.4),
    ]


def _ease_blocks(space: SearchSpace) -> list[Block]:
    models = features.indicator(space.models, features.model_of)
    templates = features.indicator(range(len(space.templates)), features.template_of)
    return [
        Block(name="ease", columns=features.constant, scale=0.5),
        Block(name="ease for model", columns=models, scale=0.2),
        Block(name="ease for template", columns=templates, scale=0.1),
    ]
