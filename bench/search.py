"""The search against a simulated endpoint of known truth: what its answers are really worth.

    python bench/search.py [--seeds 10] [--slots 32] [--all]

Of the four budgets the smallest is run, or with --all each (some twenty minutes on one core).

A surface is drawn at random for each seed: 164 problems of bimodal difficulty, of which the search
sees 20; models whose abilities and prices don't always agree; temperatures that sharpen or blur;
prompts that suit some models; answers of varying length, cut at max_tokens; format failures. The
columns: the true pass@n over all problems of the config recommended, of the best config on a grid,
and of a search that evaluates in the same way but proposes at random.
"""

import argparse
import heapq
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from coordinator.plan import Work
from coordinator.proposer import SkoptProposer
from coordinator.search import Search
from study import metrics, space
from study.config import Arm, Config
from study.messages import Paid, Scored
from study.prices import Price, Usage
from study.trials import Estimate

DOLLAR = 1_000_000_000
BUDGETS = ((0.1, 4.0), (0.05, 1.0), (0.02, 1.0), (0.005, 0.5))
"""Dollars per request, dollars for the search."""
PROBLEMS, TUNED = 164, 20
PRICES = {
    "gpt-5.4-nano": Price.from_usd(input=0.20, output=1.25),
    "gpt-5.4-mini": Price.from_usd(input=0.75, output=4.5),
    "gpt-5.4": Price.from_usd(input=2.5, output=15.0),
}
SPACE = space.parse({"prompt": ["{a}", "1{a}", "2{a}", "3{a}"]}, api="chat")


class Surface:
    """What is true of every arm: how often it passes each problem, and how long its answers are."""

    def __init__(self, seed: int) -> None:
        random = np.random.default_rng(seed)
        models, templates = len(PRICES), len(SPACE.templates)
        self.ability = np.array([-0.7, 0.0, 0.6]) + random.normal(0, 0.5, models)
        self.template = random.normal(0, 0.3, templates) + random.normal(
            0, 0.25, (models, templates)
        )
        self.ease = random.normal(0, 1.2, PROBLEMS) + random.normal(0, 0.5, (models, PROBLEMS))
        self.sharpness = random.uniform(0.8, 1.5)
        self.heat_penalty = random.uniform(0.1, 0.8)
        self.bad_format = random.uniform(0.0, 0.2, (models, templates))
        self.length = np.exp(random.normal(4.8, 0.5, PROBLEMS))[None, :] * random.uniform(
            0.7, 1.6, (models, 1)
        )
        self.prompt_tokens = random.integers(80, 260, PROBLEMS)
        self.own = {}
        self.seed = seed

    def passing(self, arm: Arm) -> np.ndarray:
        """How often the arm passes each problem."""
        model, heat = list(PRICES).index(arm.model), _heat(arm)
        spread = 2.2 * self.sharpness / (0.25 + heat)
        ability = self.ability[model] + self.template[model, arm.template]
        scatter = np.random.default_rng([self.seed, model, arm.template]).normal(0, 0.3, PROBLEMS)
        logit = spread * (ability + self.ease[model] + scatter - self.heat_penalty * heat**2)
        right = (1 - self.bad_format[model, arm.template]) / (1 + np.exp(-np.clip(logit, -30, 30)))
        cut = np.log(arm.max_tokens / self.length[model]) / 0.3
        return right / (1 + np.exp(-1.7 * cut))

    def tokens(self, arm: Arm) -> np.ndarray:
        """How long the arm's answers are on each problem, on average."""
        model = list(PRICES).index(arm.model)
        return np.minimum(self.length[model], arm.max_tokens)

    def value(self, config: Config) -> float:
        """The true pass@n over all problems."""
        passing = self.passing(config.arm)
        if config.arm.repeats_itself:
            return float(passing.mean())
        return float((1 - (1 - passing) ** config.n).mean())

    def cost(self, config: Config) -> float:
        """The true mean bill of a request, in nanodollars."""
        price = PRICES[config.arm.model]
        usage = [
            price.cost(Usage(prompt_tokens=int(p), completion_tokens=round(config.n * t)))
            for p, t in zip(self.prompt_tokens, self.tokens(config.arm), strict=True)
        ]
        return fmean(usage)

    def best_on_grid(self, limit: int) -> float:
        """The best true value on a grid of arms, each with the largest n that it can pay."""
        best = 0.0
        for model, template, heat, length in itertools.product(
            PRICES, range(4), (0.0, 0.2, 0.4, 0.6, 0.8, 1.0), (300, 1000)
        ):
            arm = Arm(
                model=model, template=template, params={"temperature": heat, "max_tokens": length}
            )
            one, two = (self.cost(Config(arm=arm, n=n)) for n in (1, 2))
            n = int(min(100, (limit - one) // max(1, two - one) + 1))
            if n >= 1:
                best = max(best, self.value(Config(arm=arm, n=n)))
        return best


@dataclass(frozen=True, kw_only=True)
class Run:
    """What came of one search."""

    value: float
    reported: Estimate | None
    broke: bool
    spent: float
    arms: int
    seconds: float
    reason: str


class AtRandom(SkoptProposer):
    """The same proposer, that learns nothing."""

    def tell(self, values: object) -> None:
        """Hear nothing."""


def bound(arm: Arm, example: str, draws: int) -> int:
    """The worst case of an evaluation."""
    usage = Usage(prompt_tokens=1000, completion_tokens=draws * arm.max_tokens)
    return PRICES[arm.model].cost(usage)


def run(
    surface: Surface, *, inference: float, budget: float, seed: int, slots: int, learns: bool
) -> Run:
    """Search a surface, with calls that return out of order and money that is reserved."""
    limit, available = int(inference * DOLLAR), int(budget * DOLLAR)
    random = np.random.default_rng(seed)
    kind = SkoptProposer if learns else AtRandom
    search = Search(
        SPACE,
        count_metric=metrics.success,
        mode="max",
        examples=[f"tune-{i}" for i in range(TUNED)],
        prices=PRICES,
        inference_limit=limit,
        optimization_limit=available,
        bound=bound,
        trials_max=None,
        seed=seed,
        proposer=kind(SPACE, prices=PRICES, seed=seed),
    )
    problems = random.permutation(PROBLEMS)[:TUNED]
    out: list[tuple[float, int, Work]] = []
    now, began, counter = 0.0, time.process_time(), itertools.count()
    while search.finished is None:
        while len(out) < slots and (work := search.next(available=available)) is not None:
            available -= bound(work.arm, work.example, work.draws)
            heapq.heappush(out, (now + random.uniform(0.5, 2.0), next(counter), work))
        if not out:
            continue
        now, _, work = heapq.heappop(out)
        result = answer(surface, work, int(problems[int(work.example[5:])]), random)
        available += bound(work.arm, work.example, work.draws) - result.paid.cost_nanodollars
        assert available >= 0
        search.record(result)
    found = search.recommend()
    search.close()
    return Run(
        value=surface.value(found.config) if found else 0.0,
        reported=found,
        broke=found is not None and surface.cost(found.config) > limit,
        spent=budget - available / DOLLAR,
        arms=len(search.trials),
        seconds=time.process_time() - began,
        reason=search.finished or "",
    )


def answer(surface: Surface, work: Work, problem: int, random: np.random.Generator) -> Scored:
    """What the endpoint says, and bills."""
    passing = surface.passing(work.arm)[problem]
    distinct = 1 if work.arm.repeats_itself else work.draws
    passes = np.repeat(random.random(distinct) < passing, work.draws // distinct)
    lengths = surface.tokens(work.arm)[problem] * np.exp(random.normal(0, 0.2, work.draws))
    tokens = int(np.minimum(lengths, work.arm.max_tokens).sum())
    usage = Usage(prompt_tokens=int(surface.prompt_tokens[problem]), completion_tokens=tokens)
    return Scored(
        trial=work.trial,
        arm=work.arm.key,
        example=work.example,
        first_draw=work.first_draw,
        draws=work.draws,
        passes=[bool(p) for p in passes],
        paid=Paid(
            calls=1,
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=tokens,
            cost_nanodollars=PRICES[work.arm.model].cost(usage),
            latency_s=1.0,
        ),
    )


def _heat(arm: Arm) -> float:
    return min(arm.params.get("temperature", 1.0), arm.params.get("top_p", 1.0))


def row(title: str, runs: Sequence[Run], best: float) -> str:
    """A line of the table."""
    right = [
        abs(r.value - r.reported.value) <= 2 * r.reported.std_error for r in runs if r.reported
    ]
    return (
        f"{title:24s} {fmean(r.value for r in runs):6.3f} {best:6.3f} "
        f"{fmean(r.broke for r in runs):6.0%} {fmean(right):6.0%} "
        f"{fmean(r.reported.value - r.value for r in runs if r.reported):+7.3f} "
        f"{fmean(r.spent for r in runs):7.3f} {fmean(r.arms for r in runs):5.0f} "
        f"{fmean(r.seconds for r in runs):6.1f}"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--slots", type=int, default=32)
    parser.add_argument("--all", action="store_true", help="all budgets, not the smallest only")
    arguments = parser.parse_args()
    print(f"{'':24s}  value   grid  broke within    bias   spent  arms  cpu s")
    totals = []
    for inference, budget in BUDGETS if arguments.all else BUDGETS[-1:]:
        surfaces = [Surface(seed) for seed in range(arguments.seeds)]
        best = fmean(s.best_on_grid(int(inference * DOLLAR)) for s in surfaces)
        for learns in (True, False):
            runs = [
                run(
                    surface,
                    inference=inference,
                    budget=budget,
                    seed=surface.seed,
                    slots=arguments.slots,
                    learns=learns,
                )
                for surface in surfaces
            ]
            name = "bursar" if learns else "random"
            print(row(f"${inference}/${budget} {name}", runs, best), flush=True)
            if learns:
                totals.append(best - fmean(r.value for r in runs))
    print(f"mean regret {fmean(totals):.4f}")


if __name__ == "__main__":
    main()
