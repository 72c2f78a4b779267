"""What a proposal costs at so many finished trials: bursar's proposer, and skopt's Gaussian process.

    python -m bench.proposals [--trials 10 100 500 1000] [--gp 10 100]

A proposal is a `tell` of the best current estimates of all arms and an `ask` for the next one; CPU time, the
median of five. A further ask, with nothing told, comes of the same fit. The proposer hears of 500 arms at
most, so its cost stops growing there.
"""

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from skopt import Optimizer
from skopt.space import Categorical, Real

from coordinator.proposer import DESIGN_MIN, OF_A_FIT, SkoptProposer
from study import space
from study.prices import Price

REPEATS = 5
MODELS = ("small", "middle", "large")
SPACE = space.parse(
    {
        "model": list(MODELS),
        "prompt": ["{a}", "1{a}", "2{a}", "3{a}"],
        "n": {"low": 1, "high": 100},
    },
    api="chat",
)


def median_ms(propose: Callable[[], object]) -> float:
    """CPU milliseconds of a call."""
    taken = []
    for _ in range(REPEATS):
        began = time.process_time()
        propose()
        taken.append(1000 * (time.process_time() - began))
    return statistics.median(taken)


@dataclass(frozen=True, kw_only=True)
class Cost:
    """CPU milliseconds of an ask after a tell, and of one more (mean of those that a fit gives)."""

    told_ms: float
    more_ms: float


def ours(trials: int) -> Cost:
    """What bursar's proposer takes, past its design."""
    prices = {model: Price.from_usd(input=1, output=4) for model in MODELS}
    proposer = SkoptProposer(SPACE, prices=prices, seed=0)
    random = np.random.default_rng(0)
    arms = [arm for _ in range(max(trials, DESIGN_MIN)) if (arm := proposer.propose())][-trials:]

    def propose() -> None:
        proposer.tell({arm: float(random.random()) for arm in arms})
        proposer.propose()

    told_ms = median_ms(propose)
    further = []
    for _ in range(REPEATS):
        propose()
        began = time.process_time()
        for _ in range(OF_A_FIT - 1):
            proposer.propose()
        further.append(1000 * (time.process_time() - began) / (OF_A_FIT - 1))
    return Cost(told_ms=told_ms, more_ms=statistics.median(further))


def gaussian_process(trials: int) -> float:
    """The same of skopt's default, a Gaussian process, fitted afresh."""
    random = np.random.default_rng(0)
    dimensions = [Categorical([0, 1, 2]), Categorical([0, 1, 2, 3]), Real(0, 1), Real(0, 1)]
    points = [
        [int(random.integers(3)), int(random.integers(4)), *map(float, random.random(2))]
        for _ in range(trials)
    ]

    def propose() -> None:
        optimizer = Optimizer(dimensions, base_estimator="GP", n_initial_points=0, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            optimizer.tell(points, [float(x) for x in random.random(trials)])
            optimizer.ask()

    return median_ms(propose)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, nargs="*", default=[10, 100, 500, 1000])
    parser.add_argument("--gp", type=int, nargs="*", default=[10, 100])
    arguments = parser.parse_args()
    print("trials  extra trees, ms  one more, ms  Gaussian process, ms")
    for trials in sorted({*arguments.trials, *arguments.gp}):
        trees = more = ""
        if trials in arguments.trials:
            cost = ours(trials)
            trees, more = f"{cost.told_ms:.0f}", f"{cost.more_ms:.2f}"
        process = f"{gaussian_process(trials):.0f}" if trials in arguments.gp else ""
        print(f"{trials:6d}  {trees:>15s}  {more:>12s}  {process:>20s}", flush=True)


if __name__ == "__main__":
    main()
