"""bursar's search on a world, in process: what its answers are worth, in a fraction of the time over HTTP.

    python -m bench.search.simulate --family hot --seeds 20 [--budgets 0.5 2] [--jobs 2] [--judge any]

Calls return out of order and money is reserved and settled, as in a study. The seeds are those of
development, from 100 on. With `--judge`, the search isn't told passes but what a user's function would say of
the answers: `any` is `success`; `graded` is worth as much, and nobody can see that it counts.
"""

import argparse
import heapq
import itertools
import json
import multiprocessing
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean

import numpy as np

from bench.search import worlds
from bench.search.worlds import DOLLAR, World
from coordinator.plan import Work
from coordinator.proposer import SkoptProposer
from coordinator.search import Search
from study import cuts, metrics, resampling
from study.config import Arm
from study.messages import Paid, Scored, ScoredCut
from study.prices import Usage
from study.trials import Estimate

FIRST_SEED = 100


@dataclass(frozen=True, kw_only=True)
class Run:
    """What came of one search: the truth of its answer, and what it says of it."""

    family: str
    seed: int
    budget: float
    best: float
    value: float
    cost_share: float
    reported: float
    std_error: float
    spent_share: float
    trials: int
    cpu_s: float
    reason: str
    config: dict[str, object] | None

    @property
    def broke(self) -> bool:
        """Whether the answer truly costs more than the inference budget."""
        return self.cost_share > 1

    @property
    def regret(self) -> float:
        """What is missing to the best; breaking the inference budget wins nothing."""
        return max(0.0, self.best - self.value) if self.broke else self.best - self.value

    @property
    def within(self) -> bool:
        """Whether the truth lies within two standard errors of what was said."""
        return abs(self.value - self.reported) <= 2 * self.std_error


def search_of(
    world: World, *, budget: float, seed: int, ahead: bool = False, counted: bool = True
) -> Search:
    """bursar's search, set up for a world.

    Args:
        world: what is searched.
        budget: dollars.
        seed: of the search.
        ahead: make proposals in a thread, as a study does; else in turn, always the same.
        counted: whether it is told passes; else what a user's function says.
    """
    proposer = SkoptProposer(world.space, prices=world.study_prices, seed=seed)
    return Search(
        world.space,
        count_metric=metrics.success if counted else None,
        mode="max",
        examples=[f"tune-{i}" for i in range(len(world.tuned))],
        prices=world.study_prices,
        inference_limit=world.inference_limit,
        optimization_limit=round(budget * DOLLAR),
        bound=lambda arm, example, draws: world.bound(arm, problem_of(world, example), draws),
        trials_max=None,
        seed=seed,
        proposer=None if ahead else proposer,
    )


def problem_of(world: World, example: str) -> int:
    """The problem that an example is."""
    return world.tuned[int(example.removeprefix("tune-"))]


def simulate(
    world: World, *, budget: float, seed: int, slots: int = 32, judge: str | None = None
) -> Run:
    """Search a world once."""
    function = Function(JUDGES[judge]) if judge else None
    random = np.random.default_rng([seed, 41])
    sampler = worlds.Sampler(world, seed)
    search = search_of(world, budget=budget, seed=seed, counted=function is None)
    available = round(budget * DOLLAR)
    out: list[tuple[float, int, Work, int]] = []
    now, began, counter = 0.0, time.process_time(), itertools.count()
    while search.finished is None:
        while len(out) < slots and (work := search.next(available=available)) is not None:
            worst = world.bound(work.arm, problem_of(world, work.example), work.draws)
            available -= worst
            heapq.heappush(out, (now + random.uniform(0.5, 2.0), next(counter), work, worst))
        if not out:
            continue
        now, _, work, worst = heapq.heappop(out)
        result = answer(world, sampler, work)
        if function is not None:
            result = function.judged(result)
        available += worst - result.paid.cost_nanodollars
        assert available >= 0
        search.record(result)
    run = judged(
        world,
        search.recommend(),
        budget=budget,
        spent=round(budget * DOLLAR) - available,
        trials=len(search.trials),
        cpu_s=time.process_time() - began,
        reason=search.finished or "",
    )
    search.close()
    return run


def judged(
    world: World,
    found: Estimate | None,
    *,
    budget: float,
    spent: int,
    trials: int,
    cpu_s: float,
    reason: str,
) -> Run:
    """Hold an answer against the truth."""
    return Run(
        family=world.family,
        seed=world.seed,
        budget=budget,
        best=world.best_feasible().value,
        value=world.value(found.config) if found else 0.0,
        cost_share=world.cost(found.config) / world.inference_limit if found else 0.0,
        reported=found.value if found else 0.0,
        std_error=found.std_error if found else 0.0,
        spent_share=spent / (budget * DOLLAR),
        trials=trials,
        cpu_s=cpu_s,
        reason=reason,
        config=found.config.to_dict() if found else None,
    )


class Function:
    """A user's function, as a worker would call it.

    Args:
        judge: the metric of answers that are "right" or "wrong".
    """

    def __init__(self, judge: resampling.Judge) -> None:
        self._judge = judge
        self._texts: dict[tuple[str, str], dict[int, str]] = defaultdict(dict)

    def judged(self, result: Scored) -> Scored:
        """The result as the function makes it of the answers that are known by now."""
        texts, passes = self._texts[result.arm, result.example], result.passes or []
        texts |= {result.first_draw + i: "right" if p else "wrong" for i, p in enumerate(passes)}
        found = resampling.resample(self._judge, list(texts.values()), mode="max", seed=0)
        told = found.told(texts, first_draw=result.first_draw, draws=result.draws)
        return result.model_copy(update={**told, "cuts": None})


def _any(texts: Sequence[str]) -> float:
    return float("right" in texts)


def _graded(texts: Sequence[str]) -> float:
    return 1.0 if "right" in texts else 1e-4


JUDGES = {"any": _any, "graded": _graded}


def answer(world: World, sampler: worlds.Sampler, work: Work) -> Scored:
    """What the endpoint says, and bills."""
    problem = problem_of(world, work.example)
    draws = sampler.draw(work.arm, problem, work.draws)
    usage = Usage(
        prompt_tokens=int(world.prompt_tokens[work.arm.template, problem]),
        completion_tokens=int(draws.tokens.sum()),
    )
    return Scored(
        trial=work.trial,
        arm=work.arm.key,
        example=work.example,
        first_draw=work.first_draw,
        draws=work.draws,
        passes=[bool(p) for p in draws.passes],
        cuts=_cuts(world, sampler, work.arm, problem, draws),
        paid=Paid(
            calls=1,
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            cost_nanodollars=world.study_prices[work.arm.model].cost(usage),
            latency_s=1.0,
        ),
    )


def _cuts(
    world: World, sampler: worlds.Sampler, arm: Arm, problem: int, draws: worlds.Draws
) -> list[ScoredCut]:
    """What the answers would have been, cut: those cuts that change any."""
    found = []
    for cut in cuts.of(world.space, arm):
        less = sampler.cut(cut, problem, draws.index)
        if (less.tokens < draws.tokens).any():
            passes, tokens = [bool(p) for p in less.passes], float(less.tokens.sum())
            found.append(ScoredCut(arm=cut.key, passes=passes, output_tokens=tokens))
    return found


def _all_budgets(job: tuple[str, int, Sequence[float] | None, int, str | None]) -> list[Run]:
    family, seed, budgets, slots, judge = job
    world = worlds.world(family, seed)
    return [
        simulate(world, budget=budget, seed=seed, slots=slots, judge=judge)
        for budget in budgets or world.budgets
    ]


HEAD = "                    runs regret value  best broke within   bias  s.e. spent trials  cpu s"


def line(title: str, runs: Sequence[Run]) -> str:
    """A line of the table."""
    return (
        f"{title:18s} {len(runs):5d} {fmean(r.regret for r in runs):6.3f} "
        f"{fmean(r.value for r in runs):5.3f} {fmean(r.best for r in runs):5.3f} "
        f"{fmean(r.broke for r in runs):5.0%} {fmean(r.within for r in runs):6.0%} "
        f"{fmean(r.reported - r.value for r in runs):+6.3f} {fmean(r.std_error for r in runs):5.3f} "
        f"{fmean(r.spent_share for r in runs):5.0%} {fmean(r.trials for r in runs):6.0f} "
        f"{fmean(r.cpu_s for r in runs):6.1f}"
    )


def show(runs: Iterable[Run]) -> None:
    """Print the table: per family and budget, and over all."""
    by: dict[tuple[str, float], list[Run]] = defaultdict(list)
    for run in runs:
        by[run.family, run.budget].append(run)
    print(HEAD)
    for (family, budget), some in sorted(by.items()):
        print(line(f"{family} ${budget:g}", some))
    for family in dict.fromkeys(family for family, _ in sorted(by)):
        print(line(family, [r for (f, _), some in by.items() if f == family for r in some]))
    print(line("all", [run for some in by.values() for run in some]), flush=True)


def main() -> None:
    """Run, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--family", nargs="*", default=worlds.families())
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    parser.add_argument("--budgets", type=float, nargs="*", help="dollars; else each family's own")
    parser.add_argument("--multiples", type=float, nargs="*", help="in requests at full price")
    parser.add_argument("--slots", type=int, default=32)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--judge", choices=list(JUDGES), help="what a user's function says instead")
    parser.add_argument("--out", help="append one JSON line per run")
    arguments = parser.parse_args()
    jobs = []
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
        for family in arguments.family:
            budgets = arguments.budgets
            if arguments.multiples:
                usd = worlds.world(family, seed).inference_usd
                budgets = [round(usd * multiple, 6) for multiple in arguments.multiples]
            jobs.append((family, seed, budgets, arguments.slots, arguments.judge))
    runs: list[Run] = []
    with multiprocessing.get_context("spawn").Pool(arguments.jobs) as pool:
        for done in pool.imap_unordered(_all_budgets, jobs):
            runs += done
            if arguments.out:
                with open(arguments.out, "a") as out:
                    out.writelines(json.dumps(asdict(run)) + "\n" for run in done)
    show(runs)


if __name__ == "__main__":
    main()
