"""The benchmark of the search: bursar and its peers on the same worlds, over HTTP, with the endpoint's books.

    python -m bench.search.run [--methods ...] [--families ...] [--seeds 20] [--jobs 1] [--short]

A run is a line of `runs.jsonl` in BURSAR_BENCH_DIR (.bursar/cache/bench-search); what is there is not
run again.
The report is written from all of them (bench/search/report.py).
"""

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from bench.search import report, worlds
from bench.search.peers import environments
from bench.search.worlds import DOLLAR, World
from study.config import Arm, Config

ROOT: Final = Path(__file__).resolve().parents[2]
PEERS: Final = ("flaml", "optuna", "random")
METHODS: Final = (*PEERS, "bursar")
SHORT_FIRST_SEED, SHORT_SEEDS, SHORT_BUDGETS = 200, 2, 2

_children: dict[str, subprocess.Popen[str]] = {}


def budgets(world: World, method: str) -> list[float]:
    """Dollars for each run of a method; bursar also has a quarter of what the others have."""
    quarters = {budget / 4 for budget in world.budgets} if method == "bursar" else set()
    return sorted({round(budget, 6) for budget in {*quarters, *world.budgets}})


def commit() -> str | None:
    """The commit of the code that runs, "-dirty" if files differ from it; None outside of git."""
    try:
        head, changed = (
            subprocess.run(
                ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True
            ).stdout.strip()
            for arguments in (
                ("rev-parse", "--short", "HEAD"),
                # What is written here is no part of what runs.
                ("status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs"),
            )
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"{head}-dirty" if changed else head


def child(method: str, folder: Path) -> subprocess.Popen[str]:
    """The program of a method; one for all runs of a process."""
    if method not in _children:
        peers = Path(__file__).parent / "peers"
        commands = {
            "flaml": lambda: [environments.python("flaml", folder=folder), peers / "flaml_peer.py"],
            "optuna": lambda: [
                environments.python("optuna", folder=folder),
                peers / "pruned.py",
                "tpe",
            ],
            "random": lambda: [sys.executable, peers / "pruned.py", "random"],
            "bursar": lambda: [sys.executable, "-m", "bench.search.peers.bursar_peer"],
        }
        _children[method] = subprocess.Popen(
            [str(part) for part in commands[method]()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )
    return _children[method]


def run(world: World, method: str, budget: float, folder: Path) -> dict[str, Any]:
    """One search over HTTP, held against the truth and the endpoint's books."""
    with world.server(seed=world.seed) as server:
        job = {
            "base_url": server.base_url,
            "family": world.family,
            "seed": world.seed,
            "api": world.api,
            "budget": budget,
            "inference_usd": world.inference_usd,
            "prices": dict(world.prices),
            "templates": world.templates,
            "stops": world.stops,
            "examples": [
                {
                    "prompt": world.problems[problem].prompt,
                    "right": world.right_answers(problem),
                }
                for problem in (world.tuned if method != "bursar" else ())
            ],
        }
        program = child(method, folder)
        assert program.stdin
        assert program.stdout
        program.stdin.write(json.dumps(job) + "\n")
        program.stdin.flush()
        line = program.stdout.readline()
        if not line:
            raise RuntimeError(f"{method} ended in the midst of {world.name} at ${budget:g}")
        said, books = json.loads(line), server.books()
    truth: dict[str, Any] = {"value": 0.0, "cost_share": 0.0}
    if said["config"] is not None:
        told = said["config"]
        params = {name: value for name, value in told["params"].items() if value != []}
        arm = Arm(model=told["model"], template=told["template"], params=params)
        config = Config(arm=arm, n=told["n"])
        truth["value"] = world.value(config)
        truth["cost_share"] = world.cost(config) / world.inference_limit
    return {
        "method": method,
        "family": world.family,
        "seed": world.seed,
        "budget": budget,
        "multiple": round(budget / world.inference_usd, 3),
        "best": world.best_feasible().value,
        **truth,
        **said,
        "billed_share": books.billed_nanodollars / (budget * DOLLAR),
        "calls": books.calls,
    }


def _unit(unit: tuple[str, int, list[tuple[str, float]], Path, str | None]) -> int:
    """All runs on a world; each is written down when it is done."""
    family, seed, jobs, out, code = unit
    world = worlds.world(family, seed)
    for method, budget in jobs:
        done = {**run(world, method, budget, out.parent), "commit": code}
        with out.open("a") as lines:
            lines.write(json.dumps(done) + "\n")
        print(
            f"{world.name:15s} ${budget:<8g} {method:7s} value {done['value']:.3f} of "
            f"{done['best']:.3f}, billed {done['billed_share']:.0%}, {done['calls']} calls, "
            f"{done['wall_s']:.1f} s {done.get('error', '')}",
            file=sys.stderr,
            flush=True,
        )
    return len(jobs)


def main() -> None:
    """Run what is missing, then report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--methods", nargs="*", default=METHODS, choices=METHODS)
    parser.add_argument("--families", nargs="*", default=worlds.families())
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=0, help="0 is reported; 100 to develop")
    parser.add_argument("--multiples", type=float, nargs="*", help="only these budgets")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--short", action="store_true", help="two worlds of each, small budgets")
    parser.add_argument("--report-only", action="store_true")
    arguments = parser.parse_args()
    folder = Path(os.environ.get("BURSAR_BENCH_DIR") or ROOT / ".bursar/cache/bench-search")
    folder.mkdir(parents=True, exist_ok=True)
    # Reported worlds, those of the short form, and worlds to develop against are never mixed.
    name = "short" if arguments.short else "development" if arguments.first_seed else "runs"
    out = folder / f"{name}.jsonl"
    if not arguments.report_only:
        _run_missing(arguments, out)
    runs = report.read(out)
    if name != "runs":
        print(report.text(runs).removeprefix(report.INTRODUCTION))
    else:
        report.write(runs, folder=ROOT / "docs" / "benchmarks", environment=folder)
        print(report.text(runs).removeprefix(report.INTRODUCTION))


def _run_missing(arguments: argparse.Namespace, out: Path) -> None:
    seeds = SHORT_SEEDS if arguments.short else arguments.seeds
    first = SHORT_FIRST_SEED if arguments.short else arguments.first_seed
    known = {report.key(r) for r in report.read(out)}
    units, code = [], commit()  # as it was when the processes began
    for seed in range(first, first + seeds):
        for family in arguments.families:
            world = worlds.world(family, seed)
            jobs = [
                (method, budget)
                for method in arguments.methods
                for budget in budgets(world, method)
                if (method, family, seed, budget) not in known
                and (
                    not arguments.multiples
                    or round(budget / world.inference_usd, 3) in arguments.multiples
                )
                and not (arguments.short and budget > world.budgets[SHORT_BUDGETS - 1])
            ]
            if jobs:
                units.append((family, seed, jobs, out, code))
    for method in {m for _, _, jobs, *_ in units for m, _ in jobs} & set(environments.PACKAGES):
        environments.python(method, folder=out.parent)  # before processes would make it at once
    with multiprocessing.get_context("spawn").Pool(arguments.jobs) as pool:
        for _ in pool.imap_unordered(_unit, units):
            pass


if __name__ == "__main__":
    main()
