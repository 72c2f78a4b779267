"""A small surface of known truth, and a study's loop without network or clock."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from coordinator.plan import Work
from coordinator.proposer import SkoptProposer
from coordinator.search import Search
from study import space
from study.config import Arm, Config
from study.messages import Paid, Scored
from study.metrics import success
from study.prices import Price, Usage

DOLLAR = 1_000_000_000
PRICES = {
    "cheap": Price.from_usd(input=0.2, output=1.0),
    "dear": Price.from_usd(input=4.0, output=20.0),
}
EXAMPLES = [f"tune-{i}" for i in range(12)]
PROMPT_TOKENS, ANSWER_TOKENS = 100, 200
TABLE: dict[str, Any] = {
    "model": list(PRICES),
    "prompt": ["{a}", "better {a}"],
    "max_tokens": 400,
    "n": {"low": 1, "high": 16},
}


def worst_case(arm: Arm, example: str, draws: int) -> int:
    """A bound of what draws cost."""
    usage = Usage(prompt_tokens=2 * PROMPT_TOKENS, completion_tokens=draws * arm.max_tokens)
    return PRICES[arm.model].cost(usage)


def passing(arm: Arm, example: str) -> float:
    """How often an arm passes an example: the second prompt helps, the dear model more."""
    ease = np.linspace(-4, 4, len(EXAMPLES))[EXAMPLES.index(example)]
    skill = 1.5 * arm.template + 2.0 * (arm.model == "dear")
    return float(1 / (1 + np.exp(-(ease + skill - 1.0))))


def true_value(config: Config) -> float:
    """The true mean of `success`."""
    n = 1 if config.arm.repeats_itself else config.n
    return float(np.mean([1 - (1 - passing(config.arm, e)) ** n for e in EXAMPLES]))


def cost(config: Config) -> int:
    """What a request costs on average."""
    tokens = Usage(prompt_tokens=PROMPT_TOKENS, completion_tokens=config.n * ANSWER_TOKENS)
    return PRICES[config.arm.model].cost(tokens)


@dataclass
class Loop:
    """Asks a search for work and answers it, some calls at a time, until it is done.

    Args:
        search: what decides.
        money: nanodollars that may be spent.
        slots: calls in flight.
        answers: makes the metric's part of a result; passes at random by default.
        bound: what draws cost at most.
        results: what was told, in order.
        works: what was asked for, in order.
    """

    search: Search
    money: int
    slots: int = 8
    seed: int = 0
    answers: Callable[[Work, np.random.Generator], dict[str, Any]] | None = None
    bound: Callable[[Arm, str, int], int] = worst_case
    results: list[Scored] = field(default_factory=list)
    works: list[Work] = field(default_factory=list)
    reserved: int = 0
    spent: int = 0

    def run(self, *, works_max: int = 100_000) -> str | None:
        """Go on until the search is finished, or so many evaluations were asked for."""
        random = np.random.default_rng(self.seed)
        out: list[Work] = []
        while self.search.finished is None:
            while len(out) < self.slots and len(self.works) < works_max:
                work = self.search.next(available=self.money - self.spent - self.reserved)
                if work is None:
                    break
                self.reserved += self.bound(work.arm, work.example, work.draws)
                assert self.spent + self.reserved <= self.money
                self.works.append(work)
                out.append(work)
            if not out:
                break
            self.tell(out.pop(int(random.integers(len(out)))), random)
        return self.search.finished

    def tell(self, work: Work, random: np.random.Generator) -> None:
        """Answer one evaluation."""
        result = self.answer(work, random)
        self.reserved -= self.bound(work.arm, work.example, work.draws)
        self.spent += result.paid.cost_nanodollars
        self.results.append(result)
        self.search.record(result)

    def answer(self, work: Work, random: np.random.Generator) -> Scored:
        """What comes back for an evaluation."""
        distinct = 1 if work.arm.repeats_itself else work.draws
        chance = passing(work.arm, work.example)
        passes = [bool(x) for x in np.repeat(random.random(distinct) < chance, work.draws)]
        scored = {"passes": passes[: work.draws]}
        if self.answers is not None:
            scored = self.answers(work, random)
        usage = Usage(prompt_tokens=PROMPT_TOKENS, completion_tokens=work.draws * ANSWER_TOKENS)
        paid = Paid(
            calls=1,
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            cost_nanodollars=PRICES[work.arm.model].cost(usage),
            latency_s=1.0,
        )
        return Scored(
            trial=work.trial,
            arm=work.arm.key,
            example=work.example,
            first_draw=work.first_draw,
            draws=work.draws,
            paid=paid,
            **scored,
        )


@pytest.fixture
def make_search() -> Callable[..., Search]:
    """Make a search of the small surface; proposals come at once."""

    def make(table: dict[str, Any] | None = None, **changes: Any) -> Search:
        searched = space.parse({**TABLE, **(table or {})}, api="chat")
        arguments: dict[str, Any] = {
            "count_metric": success,
            "mode": "max",
            "examples": EXAMPLES,
            "prices": PRICES,
            "inference_limit": DOLLAR // 100,
            "optimization_limit": DOLLAR,
            "bound": worst_case,
            "trials_max": 12,
            "seed": 0,
            "proposer": SkoptProposer(searched, prices=PRICES, seed=0),
        }
        return Search(searched, **{**arguments, **changes})

    return make
