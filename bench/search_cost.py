"""What the search costs: whether slots wait for it, its share of a core, and an ask with its tell.

    python -m bench.search_cost [FILE] [--seconds 60 180]

Prints a page of `bench.idle` and `bench.proposals`, and writes it into the file. CPU time is more than on a
quiet machine where others use the cores' caches, so read it beside the load that is given.
"""

import argparse
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from bench import idle, proposals
from bench.search.run import commit

IDLE_MAX: Final = 0.01
SEARCH_MAX: Final = 0.10
"""Of a core: what the search should take at most."""
TRIALS: Final = (10, 100, 500, 1000)
GAUSSIAN_TRIALS: Final = (10, 100)
"""More of them take skopt's Gaussian process minutes."""


def report(lengths_s: Sequence[float]) -> Iterator[str]:
    """The page, line by line.

    Args:
        lengths_s: of the studies.
    """
    load = os.getloadavg()[0]
    yield "# What the search costs"
    yield ""
    yield "Written by `python -m bench.search_cost docs/benchmarks/search-cost.md`."
    yield ""
    yield (
        "64 slots with calls of 1 s, 164 examples, 12 models and 8 prompts that are nearly as good as each "
        "other, money that never lacks. Idle is the share of slot-seconds without work for want of a "
        "proposal; the search is all CPU time of its process, of the loop that feeds the slots included."
    )
    yield ""
    yield "| seconds | calls | trials | idle | under 1 % | search, of a core | under 10 % |"
    yield "|---|---|---|---|---|---|---|"
    for seconds in lengths_s:
        found = idle.run(seconds=seconds)
        yield (
            f"| {found.seconds:.0f} | {found.slots.calls:,} | {found.trials} | {found.idle:.2%} "
            f"| {_met(found.idle, IDLE_MAX)} | {found.search:.1%} | {_met(found.search, SEARCH_MAX)} |"
        )
    yield ""
    yield (
        f"A tell of all estimates and an ask, CPU milliseconds, median of {proposals.REPEATS}. Of bursar, "
        "asks that follow while nothing new is told cost no fit: one fit gives several proposals, made in a "
        "thread beside the loop."
    )
    yield ""
    yield "| finished trials | bursar (skopt's extra trees) | each ask more | skopt's Gaussian process |"
    yield "|---|---|---|---|"
    for trials in TRIALS:
        trees = proposals.ours(trials)
        process = (
            f"{proposals.gaussian_process(trials):,.0f}"
            if trials in GAUSSIAN_TRIALS
            else "not measured"
        )
        yield f"| {trials:,} | {trees.told_ms:.0f} | {trees.more_ms:.2f} | {process} |"
    yield ""
    now = os.getloadavg()[0]
    yield f"Code {commit()}; load of the {os.cpu_count()} CPUs {load:.1f} before, {now:.1f} after."


def main() -> None:
    """Measures, prints, and writes the file if there is a name for one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, nargs="?")
    parser.add_argument("--seconds", type=float, nargs="+", default=[60.0, 180.0])
    arguments = parser.parse_args()
    lines = []
    for line in report(arguments.seconds):
        print(line, flush=True)
        lines.append(line)
    if arguments.file:
        arguments.file.parent.mkdir(parents=True, exist_ok=True)
        arguments.file.write_text("\n".join(lines) + "\n")


def _met(share: float, most: float) -> str:
    return "yes" if share < most else "**no**"


if __name__ == "__main__":
    main()
