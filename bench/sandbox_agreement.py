"""Whether our verdicts agree with those recorded when each program was run by itself.

    make bench-sandbox ARGS="[--share 0.03] [--files codegen codex gpt35] [--threads 2] [--fresh]"

Every recorded completion is run twice where that makes a difference: to the letter, as when its verdict
was recorded, which is what the sandbox is held to; and as the worker reads it (`workers.programs`), which
mends forms that break the letter, such as a fence that was left open. Verdicts are kept in `.bursar/bench/`,
by program, so that a run that was broken off goes on, and only what a change of the readings affects is
run again; `--fresh` runs all again. Where verdicts differ, the program is run again to tell why.
A whole run writes docs/benchmarks/sandbox.md.
"""

import argparse
import gzip
import hashlib
import json
import lzma
import os
import sys
import threading
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from sandbox import Limits, Program, RunResult, Sandbox, open_sandbox
from workers.programs import assemble, task_of

REPOSITORY = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("BURSAR_DATA_DIR", REPOSITORY.parent / "shared" / "data"))
KEPT = REPOSITORY / ".bursar" / "bench" / "agreement.jsonl"
REPORT = REPOSITORY / "docs" / "benchmarks" / "sandbox.md"
STOPS = ("\nclass", "\ndef", "\nif", "\nprint", "\nassert", "\n@", '\n"""')
FILES = {  # the recording, and where it cut its texts
    "codegen": ("codegen16b-humaneval-t08-n100", STOPS),
    "codex": ("codex-cushman-gpt4-humaneval", ()),
    "gpt35": ("gpt35instruct-humaneval-maxtokens", ()),
}
LIMITS = Limits(timeout_s=5.0, memory_mb=512)
"""As when they were recorded. The sandbox's clock stops while a program waits for a CPU."""
AT_ONCE = 100
"""Programs in a container."""
DEADLINE_S = 3600.0
OF_READING = ("reading", "mended", "wrong")
"""Reasons that speak of the worker's reading alone: to the letter the verdict is the recorded one."""
NO_PYTHON = ("fail:SyntaxError", "fail:IndentationError")
AGAIN = 6
"""How often a program is run again whose verdict differs."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One recorded completion, read as the worker reads it."""

    file: str
    task_id: str
    place: int
    recorded: str
    read: Program
    literal: Program
    whole: Program


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A row whose verdict is another than the recorded, and why."""

    row: Row
    found: str
    why: str
    detail: str


def rows_of(name: str, share: float) -> Iterator[Row]:
    """The rows of a recording: all, or every how manieth."""
    file, stops = FILES[name]
    with gzip.open(DATA / "problems" / "HumanEval.jsonl.gz", "rt") as lines:
        problems = {row["task_id"]: row for row in map(json.loads, lines)}
    with lzma.open(DATA / "recorded" / f"{file}.jsonl.xz", "rt") as lines:
        for place, row in enumerate(map(json.loads, lines)):
            if int(place * share) == int((place - 1) * share) and share < 1:
                continue
            problem = problems[row["task_id"]]
            task = task_of(problem)
            whole = text = row["text"]
            text = text[: min((text.find(stop) for stop in stops if stop in text), default=None)]
            source = assemble(task.prompt, text, task.entry_point, "completions")
            yield Row(
                file=name,
                task_id=row["task_id"],
                place=place,
                recorded=row["ours"],
                read=Program(source=source, check=task.check),
                literal=Program(source=problem["prompt"] + text, check=task.check),
                whole=Program(source=problem["prompt"] + whole, check=task.check),
            )


def key_of(program: Program) -> str:
    """A name for a program under these limits."""
    text = json.dumps([program.source, program.check, LIMITS.timeout_s, LIMITS.memory_mb])
    return hashlib.sha256(text.encode()).hexdigest()


class Verdicts:
    """What is known already: one line per program, so that it can be broken off at any point."""

    def __init__(self, path: Path, *, fresh: bool) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        if fresh:
            path.unlink(missing_ok=True)
        path.touch()
        self._known: dict[str, RunResult] = {}
        for line in path.read_text().splitlines():
            kept = json.loads(line)
            program = kept.pop("program")
            self._known[program] = RunResult.from_dict(kept)
        self._file = path.open("a")
        self._lock = threading.Lock()

    def of(self, program: Program) -> RunResult | None:
        """The verdict on a program, if it was run."""
        return self._known.get(key_of(program))

    def keep(self, program: Program, result: RunResult) -> None:
        """Writes a verdict down."""
        with self._lock:
            self._known[key_of(program)] = result
            print(
                json.dumps({"program": key_of(program), **result.to_dict()}),
                file=self._file,
                flush=True,
            )


def run_all(sandbox: Sandbox, rows: Sequence[Row], verdicts: Verdicts, threads: int) -> None:
    """Runs what is not known yet, problem by problem."""
    batches = defaultdict(dict)
    for row in rows:
        for program in (row.read, row.literal):
            if verdicts.of(program) is None:
                batches[row.file, row.task_id][program] = None
    work = [
        list(programs)[start : start + AT_ONCE]
        for programs in batches.values()
        for start in range(0, len(programs), AT_ONCE)
    ]
    left = sum(map(len, work))
    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns) as progress, ThreadPoolExecutor(threads) as pool:
        bar = progress.add_task("programs", total=left)

        def run(programs: list[Program]) -> None:
            with sandbox.prepare(study="bench", limits=LIMITS, deadline_s=DEADLINE_S) as box:
                for program in programs:
                    verdicts.keep(program, box.run([program])[0])
                    progress.advance(bar)

        for done in [pool.submit(run, programs) for programs in work]:
            done.result()


def in_a_box(sandbox: Sandbox, program: Program) -> str:
    """The verdict on a program in a box of its own: the order of sets is another in each."""
    with sandbox.prepare(study="bench", limits=LIMITS, deadline_s=DEADLINE_S) as box:
        return box.run([program])[0].verdict


def explain(sandbox: Sandbox, row: Row, read: RunResult, literal: RunResult) -> Difference:
    """Runs a program again to tell why its verdict differs."""
    if literal.verdict == row.recorded:
        return Difference(row=row, found=read.verdict, why=why_read(row, read), detail=read.detail)
    again = [in_a_box(sandbox, row.literal) for _ in range(AGAIN)]
    whole = in_a_box(sandbox, row.whole)
    if row.recorded in again or len({*again, literal.verdict}) > 1:
        why = "unstable: run again, it gets another verdict (the order of a set of texts, mostly)"
    elif whole == row.recorded:
        why = "cut: with all of its text it gets the recorded verdict"
    elif "timeout" in (row.recorded, literal.verdict):
        why = "time: near the limit, or another limit came first"
    elif "ModuleNotFoundError" in row.recorded + literal.verdict:
        why = "modules: the recording's machine had others"
    else:
        why = "verdict"
    return Difference(row=row, found=literal.verdict, why=why, detail=literal.detail)


def why_read(row: Row, read: RunResult) -> str:
    """Why the worker's reading of a text gets another verdict than the text to the letter."""
    if row.recorded not in NO_PYTHON:
        return "reading: the letter gets the recorded verdict, the worker's reading another"
    behind = "to the letter no Python, for the prose or the cut-off code behind its function"
    if read.passed:
        return f"mended: {behind}; the function is right, which is what the worker says"
    return f"wrong: {behind}; the function is wrong, too, and the worker says how"


def explain_all(sandbox: Sandbox, rows: Sequence[Row], verdicts: Verdicts) -> list[Difference]:
    """Tells of each row whose verdict differs why."""
    differences = []
    for row in rows:
        read, literal = verdicts.of(row.read), verdicts.of(row.literal)
        if not read or not literal or read.verdict == literal.verdict == row.recorded:
            continue
        differences.append(explain(sandbox, row, read, literal))
    return differences


def report(rows: Sequence[Row], verdicts: Verdicts, differences: Sequence[Difference]) -> str:
    """Two tables, in Markdown."""
    text = [
        "| recording | completions | different | judged apart | run | pass or not agrees | verdict agrees |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in [*dict.fromkeys(row.file for row in rows), "all"]:
        own = [row for row in rows if name in (row.file, "all")]
        for way in ("literal", "read"):
            found = [verdicts.of(getattr(row, way)) for row in own]
            pairs = [(row, result) for row, result in zip(own, found, strict=True) if result]
            alike = sum((row.recorded == "pass") == result.passed for row, result in pairs)
            same = sum(row.recorded == result.verdict for row, result in pairs)
            apart = sum(result.apart for _, result in pairs)
            different = len({getattr(row, way) for row in own})
            how = "to the letter" if way == "literal" else "as the worker reads it"
            text.append(
                f"| {name} | {len(own):,} | {different:,} | {share(apart, own)} | {how} | "
                f"{share(alike, own)} | {share(same, own)} |"
            )
    counts = Counter(each.why for each in differences)
    text += ["", *(f"- {count} x {why}" for why, count in counts.most_common()), ""]
    text += ["| completion | recorded | found | why | detail |", "|---|---|---|---|---|"]
    for each in sorted(differences, key=lambda each: (each.why, each.row.file, each.row.place)):
        row, detail = each.row, each.detail.replace("|", "\\|")[:100]
        place = f"{row.file} {row.place}, {row.task_id}"
        why = each.why.partition(":")[0]
        text.append(f"| {place} | {row.recorded} | {each.found} | {why} | {detail} |")
    return "\n".join([*text, ""])


def share(count: int, rows: Sequence[Row]) -> str:
    """A count, and how much of all that is."""
    return f"{count:,} ({100 * count / len(rows):.3f} %)"


def arguments() -> Any:
    """What is asked for on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--share", type=float, default=1.0, help="of each file")
    parser.add_argument("--files", nargs="+", choices=FILES, default=list(FILES))
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--fresh", action="store_true", help="forget the verdicts known")
    return parser.parse_args()


def main() -> int:
    """Runs, compares, prints; exit code 1 where less than 99.9 % agree to the letter."""
    asked = arguments()
    warnings.simplefilter("ignore")  # escapes in recorded programs, as they are parsed
    if not DATA.is_dir():
        print(f"the recorded data is not at {DATA}; BURSAR_DATA_DIR says where it is")
        return 2
    rows = [row for name in asked.files for row in rows_of(name, asked.share)]
    verdicts = Verdicts(KEPT, fresh=asked.fresh)
    sandbox = open_sandbox()
    try:
        run_all(sandbox, rows, verdicts, asked.threads)
        differences = explain_all(sandbox, rows, verdicts)
    finally:
        sandbox.close()
    text = report(rows, verdicts, differences)
    print(text)
    if asked.share >= 1 and set(asked.files) == set(FILES):
        head = "# Agreement with recorded verdicts\n\n`make bench-sandbox` printed this.\n\n"
        REPORT.parent.mkdir(parents=True, exist_ok=True)
        REPORT.write_text(head + text)
    letter = [each for each in differences if not each.why.startswith(OF_READING)]
    return 0 if len(letter) <= len(rows) / 1000 else 1


if __name__ == "__main__":
    sys.exit(main())
