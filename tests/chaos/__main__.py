"""Many schedules, one after the other, and a table of what came of them: what `make chaos` runs.

    python -m tests.chaos [--schedules 200] [--seed 0] [--jobs 1] [--pace 0.2] [--fresh]
                          [--page docs/benchmarks/chaos.md]

Outcomes are kept in .bursar/chaos.jsonl as they come: called again, it goes on where it was ended. A
seed that failed is kept with its logs, and can be run alone: `--schedules 1 --seed 17 --fresh`.
"""

import argparse
import json
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from .checks import CHECKED
from .processes import REPOSITORY, Zygote
from .schedule import KINDS, PACE, Outcome, run

PROGRAMS_EVERY = 8
"""Every so many schedules run programs in containers: these take longer."""
KEPT = REPOSITORY / ".bursar" / "chaos.jsonl"


def main() -> int:
    """Run what is missing, and print the table; 1 where a schedule failed."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--schedules", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0, help="of the first one")
    parser.add_argument("--jobs", type=int, default=1, help="schedules at once")
    parser.add_argument("--pace", type=float, default=PACE, help="1: silences as in production")
    parser.add_argument("--fresh", action="store_true", help="forget earlier outcomes")
    parser.add_argument("--page", type=Path, help="write the table there, too")
    options = parser.parse_args()
    if options.fresh:
        KEPT.unlink(missing_ok=True)
    wanted = range(options.seed, options.seed + options.schedules)
    done = {outcome["seed"]: outcome for outcome in kept()}
    missing = [seed for seed in wanted if seed not in done]
    KEPT.parent.mkdir(exist_ok=True)
    with Zygote() as zygote, ThreadPoolExecutor(options.jobs) as pool, KEPT.open("a") as file:

        def one(seed: int) -> Outcome:
            folder = Path(tempfile.mkdtemp(prefix=f"bursar-chaos-{seed}-"))
            try:
                outcome = run(
                    seed,
                    folder=folder,
                    zygote=zygote,
                    pace=options.pace,
                    programs=seed % PROGRAMS_EVERY == PROGRAMS_EVERY - 1,
                )
            except Exception as exc:  # noqa: BLE001 (a schedule that breaks is a failure like any other)
                outcome = Outcome(seed=seed, failures=[f"{type(exc).__name__}: {exc}"])
            if outcome.failures:
                outcome.failures.append(f"logs: {folder}")
            else:
                shutil.rmtree(folder)
            return outcome

        for outcome in pool.map(one, missing):
            done[outcome.seed] = vars(outcome)
            file.write(json.dumps(done[outcome.seed]) + "\n")
            file.flush()
            show(outcome)
    return tell([done[seed] for seed in wanted], options.page)


def kept() -> Iterator[dict[str, Any]]:
    """The outcomes of earlier calls."""
    if KEPT.exists():
        yield from map(json.loads, KEPT.read_text().splitlines())


def show(outcome: Outcome) -> None:
    """Say what came of one schedule."""
    struck = ", ".join(f"{n} {kind}" for kind, n in sorted(outcome.struck.items()))
    word = "FAILED" if outcome.failures else "ok"
    print(f"{outcome.seed:4} {outcome.seconds:5.1f} s  {word}  {struck}", flush=True)
    for failure in outcome.failures:
        print(f"       {failure}", flush=True)


def tell(outcomes: list[dict[str, Any]], page: Path | None) -> int:
    """Print the table, and write it to a page."""
    failed = [outcome["seed"] for outcome in outcomes if outcome["failures"]]
    title, sections = f"{len(outcomes)} schedules, from seed {outcomes[0]['seed']}", rows(outcomes)
    sections.append([("failed", f"{len(failed)} {failed or ''}".strip())])
    table = Table("what", "how often", title=title)
    for section in sections:
        for row in section:
            table.add_row(*row)
        table.add_section()
    console = Console(width=110)
    console.print(table)
    console.print("Checked after each:", *(f"- {words}" for words in CHECKED), sep="\n")
    if page:
        span = f"--schedules {len(outcomes)} --seed {outcomes[0]['seed']}"
        lines = [f"| {what} | {count} |" for section in sections for what, count in section]
        page.write_text(
            f"# Whole studies while everything breaks\n\n"
            f"Written by `python -m tests.chaos {span} --page {page}`.\n\n"
            f"| {title} | |\n|---|---:|\n"
            + "\n".join(lines)
            + "\n\nChecked after each:\n\n"
            + "\n".join(f"- {words}" for words in CHECKED)
            + "\n"
        )
    return 1 if failed else 0


def rows(outcomes: list[dict[str, Any]]) -> list[list[tuple[str, str]]]:
    """What struck, and what was counted, summed up over all schedules."""
    struck: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for outcome in outcomes:
        struck.update(outcome["struck"])
        counts.update(outcome["counts"])
    resumed = sum(outcome["resumes"] for outcome in outcomes)
    return [
        [*((kind, f"{struck[kind]:,}") for kind in KINDS), ("resumed", f"{resumed:,}")],
        [(what, f"{count:,}") for what, count in counts.items()],
    ]


if __name__ == "__main__":
    sys.exit(main())
