"""Pool: what was bought of one arm, example by example; here, since one draw answers for every n."""

import math
from dataclasses import dataclass, field

from study.config import Arm
from study.messages import Scored
from study.prices import MILLION, Price


@dataclass
class Cell:
    """The draws of an arm on an example.

    Args:
        asked: draws planned so far, whatever came of them; the next one to ask for.
        draws: how many were scored.
        passes: how many of those passed.
        curve: n -> the metric of n answers, where answers are judged together.
    """

    asked: int = 0
    draws: int = 0
    passes: int = 0
    curve: dict[int, float] = field(default_factory=dict)
    prompt_tokens: float = 0.0
    output_tokens: float = 0.0
    calls: int = 0
    answers: int = 0

    @property
    def scored(self) -> bool:
        """Whether anything is known of the metric here."""
        return self.draws > 0


class Pool:
    """The cells of one arm, and what its requests cost.

    Args:
        arm: whose draws these are.
        examples: how many examples there are; a cell's index is its example's.
        price: of the arm's model.

    `draws` counts the scored ones, `examples` those that have any.
    """

    def __init__(self, arm: Arm, examples: int, price: Price) -> None:
        self.arm, self.price = arm, price
        self.cells = [Cell() for _ in range(examples)]
        self.draws = self.examples = self.errors = 0
        self._sums = _TokenSums()
        self._tokens: Tokens | None = None

    def record(self, index: int, result: Scored) -> None:
        """Take a result into its cell; one with an error says nothing, but its tokens count."""
        cell = self.cells[index]
        cell.asked = max(cell.asked, result.first_draw + result.draws)
        self._sums.remove(cell)
        cell.prompt_tokens += result.paid.prompt_tokens
        cell.output_tokens += result.paid.completion_tokens
        if result.paid.calls:
            cell.calls += result.paid.calls
            cell.answers += result.draws
        self._sums.add(cell)
        self._tokens = self._sums.tokens()
        if result.error or (result.passes is None and not result.curve):
            self.errors += 1
            return
        self.examples += not cell.scored
        self.draws += result.draws
        if result.passes is not None:
            cell.draws += len(result.passes)
            cell.passes += sum(result.passes)
        if result.curve:
            cell.draws += result.draws
            cell.curve = dict(result.curve)

    @property
    def asked(self) -> int:
        """All draws planned so far."""
        return sum(cell.asked for cell in self.cells)

    @property
    def tokens(self) -> "Tokens | None":
        """What a request uses, as far as it was seen; None before the first answer."""
        return self._tokens


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


USUAL_VARIATION = 0.6
"""Standard deviation over mean of an answer's length between examples, before any were seen."""
USUAL_VARIATION_EXAMPLES = 8
"""How many examples that assumption is worth."""


class _TokenSums:
    """Running sums over examples of the mean prompt and mean answer."""

    def __init__(self) -> None:
        self._count = 0
        self._prompt = self._output = 0.0
        self._prompt2 = self._output2 = self._cross = 0.0

    def add(self, cell: Cell, sign: int = 1) -> None:
        if not cell.calls:
            return
        prompt, output = cell.prompt_tokens / cell.calls, cell.output_tokens / cell.answers
        self._count += sign
        self._prompt += sign * prompt
        self._output += sign * output
        self._prompt2 += sign * prompt**2
        self._output2 += sign * output**2
        self._cross += sign * prompt * output

    def remove(self, cell: Cell) -> None:
        self.add(cell, -1)

    def tokens(self) -> Tokens | None:
        if not self._count:
            return None
        e = self._count
        prompt, output = self._prompt / e, self._output / e
        df = e - 1 + USUAL_VARIATION_EXAMPLES
        assumed = USUAL_VARIATION_EXAMPLES * USUAL_VARIATION**2

        def variance(squares: float, mean: float) -> float:
            return (max(0.0, squares - e * mean**2) + assumed * mean**2) / df / e

        return Tokens(
            prompt=prompt,
            output=output,
            prompt_variance=variance(self._prompt2, prompt),
            output_variance=variance(self._output2, output),
            covariance=(self._cross - e * prompt * output) / df / e,
        )
