"""Lengths: what requests of an arm use, on all examples, from what was seen of any arm on some.

The logarithm of a mean length is a sum of effects of the arm and of the example (`mixed`), so that an
arm seen on the short examples only is not taken for a terse one. What is seen scatters around that
mean as a gamma variable does, in proportion to it (McCullagh and Nelder 1989, chapter 8): unlike a
mean of logarithms, a few answers that a stop string cut short don't pull it down.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from coordinator import features, mixed
from coordinator.features import Block, Features, Floats
from coordinator.mixed import Likelihood, Mixed
from coordinator.pool import Cell, Pool
from study.prices import MILLION, Price
from study.space import SearchSpace

ANSWER_NOISE: Final = 0.4
"""Standard deviation over mean of one answer's length, beside that of others like it."""
NOISE_WEIGHT: Final = 10.0
"""What is expected of that weighs as much as so many answers seen."""
CELL_NOISE: Final = 0.15
"""The same of the mean of very many, around what arm and example make expected."""
PROMPT_NOISE: Final = 0.01
USUAL_ANSWER: Final = 200.0
"""Tokens, before anything was seen."""
ROUNDS: Final = 2
"""Of a fit, and of listening to the noise, at first; later each fit goes on where the last one ended."""
LOG_MAX: Final = 12.0
"""Keeps exp() in range while a fit is under way."""
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
        self._prompts = _Logs(
            _prompt_blocks(space),
            _ease_blocks(space),
            noise=PROMPT_NOISE,
            cell_noise=PROMPT_NOISE,
            space=space,
            examples=examples,
        )
        self._answers = _Logs(
            _answer_blocks(space),
            _ease_blocks(space),
            noise=ANSWER_NOISE,
            cell_noise=CELL_NOISE,
            space=space,
            examples=examples,
        )

    def fit(self, pools: Sequence[Pool]) -> None:
        """Read all pools; what was believed before tells where to begin."""
        seen = [pool for pool in pools if pool.answers]
        if seen:
            self._prompts.fit(seen, _prompt)
            self._answers.fit(seen, _answer)

    def fit_anew(self, pools: Sequence[Pool]) -> None:
        """Read all pools as if for the first time: the same pools give the same beliefs."""
        self._prompts.forget()
        self._answers.forget()
        self.fit(pools)

    def tokens(self, pools: Sequence[Pool]) -> list[Tokens]:
        """What requests of arms use, of some of which nothing was bought."""
        prompts, _ = self._prompts.expected(pools, _prompt)
        answers, doubts = self._answers.expected(pools, _answer)
        return [_tokens(*each) for each in zip(prompts, answers, doubts, strict=True)]


Seen = Callable[[Cell], tuple[float, float]]
"""The mean seen in a cell, and of how many it is."""


def _prompt(cell: Cell) -> tuple[float, float]:
    return max(1.0, cell.prompt_tokens / cell.calls), float(cell.calls)


def _answer(cell: Cell) -> tuple[float, float]:
    return max(1.0, cell.output_tokens / cell.answers), float(cell.answers)


class _Logs:
    """A mixed-effects model of the logarithms of means.

    Args:
        blocks: of the arms' effects.
        local: of the examples'.
        noise: standard deviation over mean of one observation, as expected beforehand.
        cell_noise: of the mean of very many.
    """

    def __init__(
        self,
        blocks: list[Block],
        local: list[Block],
        *,
        noise: float,
        cell_noise: float,
        space: SearchSpace,
        examples: int,
    ) -> None:
        self._features, self._local = Features(blocks, space), Features(local, space)
        self._examples = examples
        self._mean = math.log(USUAL_ANSWER)
        self._usual_noise, self._cell_noise = noise, cell_noise
        self.forget()

    def forget(self) -> None:
        self._noise: dict[str, float] = {}
        width = len(self._features.owner), len(self._local.owner)
        self._fitted: Mixed = mixed.unseen(*width, examples=self._examples)

    def fit(self, pools: Sequence[Pool], seen: Seen) -> None:
        means, counts = self._read(pools, seen)
        known = counts > 0
        self._mean = math.log(float(means[known].mean()))
        phi, psi = self._columns(pools)
        for _ in range(1 if self._noise else ROUNDS):
            precision = np.where(known, 1 / self._variance(pools, np.maximum(1, counts)), 0.0)
            gamma = _gamma(means / math.exp(self._mean), precision)
            start = self._fitted.effects
            self._fitted = mixed.fit(phi, psi, gamma, examples=self._examples, start=start)
            self._listen(pools, means, counts)

    def expected(self, pools: Sequence[Pool], seen: Seen) -> tuple[Floats, Floats]:
        """[arm, example] of what is expected, and [arm]: the variance of its logarithm's mean."""
        phi, psi = self._columns(pools)
        means, counts = self._read(pools, seen)
        reach = self._fitted.reach(phi, psi)
        shares = np.full(means.shape, 1 / self._examples)
        common = reach.common(shares)
        local = (shares**2 * (reach.own + self._cell_noise**2)).sum(axis=1)
        expected = np.exp(self._fitted.predict(phi, psi) + self._mean)
        noise = self._variance(pools, np.maximum(1, counts))
        trust = np.where(counts > 0, self._cell_noise**2 / noise, 0.0)
        return expected + trust * (means - expected), (common**2).sum(axis=1) + local

    def _variance(self, pools: Sequence[Pool], counts: Floats) -> Floats:
        """[arm, example]: of the mean of so many observations, over its square."""
        noise = np.array([self._noise.get(_kind(p), self._usual_noise) for p in pools])
        return np.asarray(noise[:, None] ** 2 / counts + self._cell_noise**2)

    def _listen(self, pools: Sequence[Pool], means: Floats, counts: Floats) -> None:
        """How much observations scatter, for each kind of arm."""
        rest = means / np.exp(self._fitted.predict(*self._columns(pools)) + self._mean) - 1
        squares: dict[str, float] = {}
        seen: dict[str, float] = {}
        for pool, rests, number in zip(pools, rest, counts, strict=True):
            beyond = number * (rests**2 - self._cell_noise**2)
            kind = _kind(pool)
            squares[kind] = squares.get(kind, 0.0) + float(beyond[number > 0].sum())
            seen[kind] = seen.get(kind, 0.0) + float((number > 0).sum())
        for kind, total in squares.items():
            usual = NOISE_WEIGHT * self._usual_noise**2
            variance = (total + usual) / (seen[kind] + NOISE_WEIGHT)
            self._noise[kind] = math.sqrt(max(variance, self._usual_noise**2 / 4))

    def _read(self, pools: Sequence[Pool], seen: Seen) -> tuple[Floats, Floats]:
        means = np.ones((len(pools), self._examples))
        counts = np.zeros(means.shape)
        for j, pool in enumerate(pools):
            for e, cell in enumerate([] if pool.untouched else pool.cells):
                if cell.calls:
                    means[j, e], counts[j, e] = seen(cell)
        return means, counts

    def _columns(self, pools: Sequence[Pool]) -> tuple[Floats, Floats]:
        arms = [pool.arm for pool in pools]
        phi = self._features.of(arms) * self._features.scales(
            [b.scale for b in self._features.blocks]
        )
        psi = self._local.of(arms) * self._local.scales([b.scale for b in self._local.blocks])
        return phi, psi


def _gamma(means: Floats, precision: Floats) -> Likelihood:
    """The (quasi-)likelihood of means with a gamma law, whose inverse relative variances are given."""

    def likelihood(eta: Floats) -> tuple[float, Floats, Floats]:
        bounded = np.clip(eta, -LOG_MAX, LOG_MAX)
        share = means * np.exp(-bounded)
        return -float((precision * (share + bounded)).sum()), precision * (share - 1), precision

    return likelihood


def _kind(pool: Pool) -> str:
    """Arms whose answers end for the same reasons scatter alike."""
    return f"{pool.arm.model} {pool.arm.params.get('stop')!r}"


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
