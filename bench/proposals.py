"""What a proposal costs at so many finished trials: bursar's proposer, and skopt's Gaussian process.

    python -m bench.proposals [--trials 10 100 500 1000] [--gp 10 100]

A proposal is a `tell` of the best current estimates of all arms and an `ask` for the next one; CPU time, the
median of five. The proposer hears of 500 arms at most, so its cost stops growing there.
"""

import argparse
import statistics
import time
import warnings
from collections.abc import Callable

import numpy as np
from skopt import Optimizer
from skopt.space import Categorical, Real

from coordinator.proposer import DESIGN_MIN, SkoptProposer
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


def ours(trials: int) -> float:
    """A tell and an ask of bursar's proposer, past its design."""
    prices = {model: Price.from_usd(input=1, output=4) for model in MODELS}
    proposer = SkoptProposer(SPACE, prices=prices, seed=0)
    random = np.random.default_rng(0)
    arms = [arm for _ in range(max(trials, DESIGN_MIN)) if (arm := proposer.propose())][-trials:]

    def propose() -> None:
        proposer.tell({arm: float(random.random()) for arm in arms})
        proposer.propose()

    return median_ms(propose)


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
    print("trials  extra trees, ms  Gaussian process, ms")
    for trials in sorted({*arguments.trials, *arguments.gp}):
        trees = f"{ours(trials):.0f}" if trials in arguments.trials else ""
        process = f"{gaussian_process(trials):.0f}" if trials in arguments.gp else ""
        print(f"{trials:6d}  {trees:>15s}  {process:>20s}", flush=True)


if __name__ == "__main__":
    main()
